from stage3_mlp.cli import main

main(prog_name="python -m stage3_mlp")
