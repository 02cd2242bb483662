"""Has stock Dask read an expression that rask wrote, for src/rask/protocol/expression_test.cc.

The expression is unpickled and materialised as a stock scheduler does, its tasks are pickled as it
pickles them for a worker, and both go to expression_vectors.json. After a change of the expression:

    RASK_GOLDEN_OUT=ours.hex build/debug/bin/rask_protocol_test --gtest_filter='Expression.is_*'
    python make_expression_vectors.py ours.hex expression_vectors.json
"""

import json
import pathlib
import sys

import dask
import distributed
from dask._expr import LLGExpr
from dask._task_spec import Task
from distributed.protocol import pickle
from distributed.scheduler import _materialize_graph


def main(ours, out):
    expression = bytes.fromhex(pathlib.Path(ours).read_text())
    expr = pickle.loads(expression)
    assert isinstance(expr, LLGExpr), expr
    dsk, annotations = _materialize_graph(expr, validate=True)
    assert not annotations
    assert all(type(task) is Task and task.key == key for key, task in dsk.items()), dsk
    assert list(dsk) == ["inc-1", ("x", 0), "sum-1"], list(dsk)
    assert [task.dependencies for task in dsk.values()] == [
        frozenset(), {"inc-1"}, {"inc-1", ("x", 0), "elsewhere"}]
    try:  # A Python worker that ran one would say where it belongs.
        dsk["inc-1"]()
    except AttributeError as error:
        assert "app::inc(int) (a C++ function: it runs on native workers" in str(error), error
    else:
        raise AssertionError("a C++ task ran in Python")
    json.dump(
        {
            "made by": f"make_expression_vectors.py, dask {dask.__version__}, "
                       f"distributed {distributed.__version__}",
            "expression": expression.hex(),
            "tasks": [pickle.dumps(task).hex() for task in dsk.values()],
        },
        pathlib.Path(out).open("w"), indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
