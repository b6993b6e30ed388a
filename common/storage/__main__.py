from common.storage.cli import main

main(prog_name="python -m common.storage")
