"""A collection on disk: `Collection`, and what makes and opens one."""

from vecsearch.collection.facade import Collection as Collection
from vecsearch.collection.making import DEFAULT_METRIC as DEFAULT_METRIC
from vecsearch.collection.making import create as create
from vecsearch.collection.making import open_collection as open_collection
from vecsearch.collection.making import open_or_create as open_or_create
from vecsearch.collection.opened import LOCK_TIMEOUT as LOCK_TIMEOUT
