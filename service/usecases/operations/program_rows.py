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
    """Store each program of the catalog that no stored version equals, as its next version.

    Returns how many were `added`, `changed` and `unchanged`. A file put back to an earlier wording equals a
    stored version and adds nothing. Safe to repeat; does not commit.
    """
    counts = Counter(added=0, changed=0, unchanged=0)
    for program_id, definition in sorted(catalog.program_definitions.items()):
        query = select(ProgramVersion).where(ProgramVersion.program_id == program_id)
        stored = session.scalars(query).all()
        digest = hash_definition(definition)
        if any(row.sha256 == digest for row in stored):
            counts["unchanged"] += 1
            continue
        counts["changed" if stored else "added"] += 1
        session.add(
            ProgramVersion(
                program_id=program_id,
                version=max((row.version for row in stored), default=0) + 1,
                sha256=digest,
                definition=definition,
                created_at=now,
            )
        )
    session.flush()
    return dict(counts)


def hash_definition(definition: dict[str, Any]) -> str:
    """SHA-256 over what a program says, not over how its file is laid out."""
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
