"""Runs checks one after the other and counts them as `cargo test` does, so that one last line can count everything."""

import faulthandler
import logging
import os
import sys
import time
import traceback

# Where nothing happens for so long, nothing will: the stacks of all threads are printed and the run fails.
LONGEST_CHECK = 600

_checks = []


def check(function):
    """Marks a function as a check. Its name is a sentence."""
    _checks.append(function)
    return function


def run(arguments):
    """Runs the checks whose names contain one of the arguments, all when there are none. Gives the exit code."""
    # What is refused on purpose need not be told.
    logging.getLogger("azure").setLevel(logging.CRITICAL)
    chosen = [one for one in _checks if not arguments or any(word in _name(one) for word in arguments)]
    failed = [one for one in chosen if not _passes(one)]
    for one in failed:
        print(f"    {_name(one)}")
    word = "FAILED" if failed else "ok"
    passed = len(chosen) - len(failed)
    print(f"test result: {word}. {passed} passed; {len(failed)} failed; 0 ignored", flush=True)
    return 1 if failed or not chosen else 0


def _name(function):
    return f"{function.__module__.removeprefix('checks.')}::{function.__name__}"


def _passes(function):
    begun = time.monotonic()
    faulthandler.dump_traceback_later(LONGEST_CHECK, exit=True)
    try:
        function()
    except Exception:
        traceback.print_exc(file=sys.stdout)
        print(f"test python::{_name(function)} ... FAILED", flush=True)
        return False
    finally:
        faulthandler.cancel_dump_traceback_later()
    print(f"test python::{_name(function)} ... ok", flush=True)
    if os.environ.get("SBM_WITNESS_TIMES"):
        print(f"    {time.monotonic() - begun:.1f} s")
    return True


def refused(kind, action, words=""):
    """The exception of this kind with which an action is refused. Anything else is an error."""
    try:
        result = action()
    except kind as error:
        assert words in str(error), f"{words!r} is not in {error}"
        return error
    raise AssertionError(f"{kind.__name__ if isinstance(kind, type) else kind} was expected and not {result!r}")


def eventually(question, what, seconds=240):
    """Asks until the answer is neither false nor empty, and gives it."""
    until = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def equal(left, right):
    """Compares, and shows both sides."""
    assert left == right, f"{left!r} is not {right!r}"
