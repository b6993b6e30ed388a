from stage2_beit.cli import main

main(prog_name="python -m stage2_beit")
