from stage1_embeddings.cli import main

main(prog_name="python -m stage1_embeddings")
