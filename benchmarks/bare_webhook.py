"""The floor: a Flask application that checks the signature and makes one durable insert, nothing else."""

from __future__ import annotations

import os

import sqlalchemy as sa
from flask import Flask, Response, request

from service.gateways.sms.signature import SIGNATURE_HEADER, SignatureChecker

app = Flask(__name__)
_engine = sa.create_engine(os.environ["BENCH_FLOOR_URL"], pool_size=10)
_checker = SignatureChecker([os.environ["TWILIO_AUTH_TOKEN"]])
_rows = sa.table("bench_floor", sa.column("sid"), sa.column("body"))


@app.post("/twilio/inbound")
def inbound() -> Response:
    url = os.environ["PUBLIC_URL"] + request.path
    if not _checker.is_signed(url, request.form, request.headers.get(SIGNATURE_HEADER, "")):
        return Response(status=403)
    with _engine.begin() as connection:
        connection.execute(sa.insert(_rows).values(sid=request.form["MessageSid"], body=request.form["Body"]))
    return Response("<Response/>", content_type="text/xml")
