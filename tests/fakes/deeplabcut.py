"""What of pandas' DataFrame a DeepLabCut table is read and written by: columns, to_numpy, dtypes, astype, iloc.

As in pandas 3.1.1; where pandas is installed the tests run with it as well.
"""

import numpy as np


class Columns(list):
    """A MultiIndex: tuples, and the names of the levels."""

    def __init__(self, names, tuples):
        super().__init__(tuples)
        self.names = list(names)


class Cells:
    """DataFrame.iloc, for one cell."""

    def __init__(self, values):
        self.values = values

    def __setitem__(self, where, value):
        self.values[where] = value


class Table:
    """A DataFrame of floats."""

    def __init__(self, values, columns):
        self.values, self.columns = np.array(values, dtype=np.float64), columns

    @property
    def iloc(self):
        return Cells(self.values)

    def to_numpy(self):
        return self.values.copy()

    @property
    def dtypes(self):
        return dict.fromkeys(self.columns, self.values.dtype)

    def astype(self, kinds):
        assert not kinds
        return Table(self.values, self.columns)


def table(values, names, tuples):
    return Table(values, Columns(names, tuples))


def pandas_table(values, names, tuples):
    import pandas

    return pandas.DataFrame(values, columns=pandas.MultiIndex.from_tuples(tuples, names=names))
