"""Start a stage's command in several processes of this machine: ``python -m common.launch 2 stage2_beit train ...``.

What ``torchrun --standalone --nproc-per-node 2 -m -- stage2_beit train ...`` does, with the exit code of the process
that failed first, and without torchrun's own report of it: that process has said why.
"""

from __future__ import annotations

import logging
import os

import click

from common.command import INTERRUPTED


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("processes", type=click.IntRange(min=1))
@click.argument("module")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def main(processes: int, module: str, words: tuple[str, ...]) -> None:
    """Run MODULE's command WORDS in PROCESSES processes that train one model together."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    try:
        own = ["--standalone", f"--nproc-per-node={processes}", "-m", "--"]
        run(parse_args([*own, module, *words]))  # type: ignore[no-untyped-call]
    except SignalException:
        raise SystemExit(INTERRUPTED) from None
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        if code < 0:  # it could not say so itself
            click.echo(f"error: A process was ended by signal {-code}. The same command goes on from there.", err=True)
        raise SystemExit(code if code > 0 else 1) from None


if __name__ == "__main__":
    main()
