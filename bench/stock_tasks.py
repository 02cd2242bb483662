"""The tasks of the benchmark, importable by stock workers so that they travel by name."""
import numpy


def inc(x):
    return x + 1


def add(x, y):
    return x + y


def blob(nbytes, salt):
    value = numpy.ones(nbytes, dtype="uint8")
    value[0] = salt % 256
    return value


def size(value):
    return value.nbytes


def part(number):
    """A partition of a dataframe."""
    import pandas

    return pandas.DataFrame({"key": numpy.arange(100) % 10, "value": float(number)})
