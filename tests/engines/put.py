# SPDX-License-Identifier: Apache-2.0
"""What the put_*.py have in common: plans come as JSON lines, verdicts go as JSON lines. The first
line out names the client and its version."""
import io
import json
import logging
import os
import sys
import traceback
import warnings


# What code meets that was called wrongly, or on a machine that it did not expect; no verdict.
MISTAKES = (AttributeError, ArithmeticError, ImportError, LookupError, NameError, OSError, TypeError)


class NoSetting(Exception):
    """The client has no setting that says this: it was not asked."""


class NotCheckable(Exception):
    """The client refuses or accepts this in code that needs a GPU."""


def judge(check, plan, log):
    try:
        check(plan)
    except NoSetting as e:
        return "no setting", str(e)
    except NotCheckable as e:
        return "not checkable", str(e)
    except SystemExit:
        return "refuses", "its parser: " + " ".join(log.getvalue().split())[-200:]
    except Exception as e:  # pylint: disable=broad-except
        last = traceback.extract_tb(e.__traceback__)[-1].filename
        if isinstance(e, MISTAKES) or os.path.basename(last).startswith("put"):
            raise
        return "refuses", "%s: %s" % (type(e).__name__, " ".join(str(e).split())[:300])
    return "accepts", ""


def serve(version, check):
    out, errors = os.fdopen(os.dup(1), "w"), sys.stderr
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    print(json.dumps({"client": version}), file=out, flush=True)
    for line in sys.stdin:
        sys.stderr = log = io.StringIO()
        try:
            verdict, reason = judge(check, json.loads(line), log)
        finally:
            sys.stderr = errors
        print(json.dumps({"verdict": verdict, "reason": reason}), file=out, flush=True)
