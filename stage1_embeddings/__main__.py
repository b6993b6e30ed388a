from stage1_embeddings.cli import main

if __name__ == "__main__":
    main(prog_name="python -m stage1_embeddings")
