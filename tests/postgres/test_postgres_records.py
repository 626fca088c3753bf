"""Everything that holds for records on SQLite, on PostgreSQL."""

from tests.unit.records.test_append_only import *  # noqa: F403
from tests.unit.records.test_key_repository import *  # noqa: F403
from tests.unit.records.test_key_terms import *  # noqa: F403
from tests.unit.records.test_receipt_repository import *  # noqa: F403
from tests.unit.records.test_record_schema import *  # noqa: F403
from tests.unit.records.test_signing import (  # noqa: F401
    signer,
    test_a_signature_holds_after_the_database,
    test_rotation_keeps_old_receipts_provable,
)
from tests.unit.records.test_statistics import *  # noqa: F403
