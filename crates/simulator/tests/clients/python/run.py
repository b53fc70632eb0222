"""All cases of the Python client, in the order a newcomer would try things."""

import objects  # noqa: F401
import money  # noqa: F401
import lists  # noqa: F401
import billing  # noqa: F401
import failures  # noqa: F401
import webhooks  # noqa: F401
from harness import run

run()
