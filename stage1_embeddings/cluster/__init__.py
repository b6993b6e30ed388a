"""Stage 1 over the machines of a Ray cluster: connect, hand out clips (crew.py), do them on a node (station.py).

Ray places, restarts and asks again; what a clip is, is `stage1_embeddings.work.Work` on every machine.
"""
