"""Put the catalog's programs where every machine sees them: rows, versioned, never changed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.catalog import Catalog
from service.store.service_state import ProgramVersion


def sync_programs(session: Session, catalog: Catalog, now: datetime) -> dict[str, int]:
    """Store each program of the catalog that its newest stored version does not equal, as its next version.

    Returns how many were `added`, `changed` and `unchanged`. A file put back to what it said before is a
    change like any other: the newest version is the one that runs. Safe to repeat; does not commit. What was
    planned under an older version is taken back by `apply_changes`, which planning calls as well.
    """
    counts = Counter(added=0, changed=0, unchanged=0)
    for program_id, definition in sorted(catalog.program_definitions.items()):
        query = select(ProgramVersion).where(ProgramVersion.program_id == program_id)
        newest = session.scalars(query.order_by(ProgramVersion.version.desc()).limit(1)).first()
        digest = hash_definition(definition)
        if newest is not None and newest.sha256 == digest:
            counts["unchanged"] += 1
            continue
        counts["changed" if newest else "added"] += 1
        session.add(
            ProgramVersion(
                program_id=program_id,
                version=newest.version + 1 if newest else 1,
                sha256=digest,
                definition=definition,
                created_at=now,
                applied_at=None if newest else now,
            )
        )
    session.flush()
    return dict(counts)


def hash_definition(definition: dict[str, Any]) -> str:
    """SHA-256 over what a program says, not over how its file is laid out."""
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
