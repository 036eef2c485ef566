"""Errors in the code that keeps two tenants apart: each takes away one guard, by a small change.

`killers` are what must notice: pytest's ids, or `attack:<beginning of ids>` for attacks of
`tenantry audit isolation` on a stack that runs the changed code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src"
_UNIT = "tests/unit"
_DOCUMENTS = f"{_UNIT}/knowledge/test_documents.py"
_UPLOADS = f"{_UNIT}/knowledge/test_unseen_uploads.py"
_PARTITIONS = f"{_UNIT}/knowledge/test_sealed_partition.py"
_KEYS = f"{_UNIT}/knowledge/test_keys.py"
_AWS_KMS = "tests/contract/keys/test_kms.py"
_SCOPES = f"{_UNIT}/http/test_reference.py::test_scopes_are_those_of_the_routes"
_ACCESS = f"{_UNIT}/http/test_routes.py"
_SIGNED = f"{_UNIT}/bedrock/test_sigv4.py"
_REGIONS = f"{_UNIT}/application/test_regions.py"
_ONCE = f"{_UNIT}/idempotency/test_idempotent.py"
_MOVED = f"{_UNIT}/idempotency/test_moved.py"
_EXCHANGED_ANSWERS = "tests/integration/idempotency/test_exchanged_answers.py"
_WORK = "tests/integration/postgres/test_unit_of_work.py"


@dataclass(frozen=True, slots=True)
class CodeMutant:
    """In `file`, each `old` becomes `new`."""

    kind: str
    guard: str
    file: str  # below src/tenantry
    old: str
    new: str
    killers: tuple[str, ...]

    @property
    def path(self) -> str:
        return f"tenantry/{self.file}"

    def planted(self, text: str) -> str:
        assert self.old in text, f"{self.file} has changed: look at '{self.guard}' again"
        return text.replace(self.old, self.new)


def _m(kind: str, guard: str, file: str, old: str, new: str, *killers: str) -> CodeMutant:
    return CodeMutant(kind, guard, file, old, new, killers)


_CACHES = (
    _m("cache", "the tenant of an open segment", "adapters/sealed/partitions.py",
       "(home.tenant_id, row.id)", '("", row.id)',
       f"{_UNIT}/knowledge/test_same_segment.py"),
    _m("cache", "the tenant of a remembered manifest", "adapters/sealed/partitions.py",
       "view = self._views.get(home.tenant_id)",
       "view = next(iter(self._views.values()), None)", _PARTITIONS),
    _m("cache", "the tenant of an opened key", "adapters/keys/key_cache.py",
       "slot = self._slots.get(name)",
       "slot = next(iter(self._slots.values()), None)", _KEYS),
    _m("cache", "the tenant of a label", "adapters/keys/labels.py",
       "key = (principal.tenant_id, purpose, data)", 'key = ("", purpose, data)',
       f"{_UNIT}/knowledge/test_labels.py"),
    _m("cache", "the tenant of a prompt's salt", "adapters/keys/labels.py",
       "await self._label(principal, Purpose.PROMPT_SALT, '')", "'salt'",
       f"{_UNIT}/knowledge/test_labels.py", "attack:prompt-cache."),
    _m("cache", "that a prompt is salted", "application/planning.py",
       "salt if shared else None", "None", "attack:prompt-cache."),
    _m("cache", "that a chat over documents is salted", "application/grounded.py",
       "salt = await self._planning.salt(ctx.principal)", "salt = None",
       f"{_UNIT}/application/test_grounded.py"),
    _m("cache", "the API key of an idempotency key", "application/idempotency.py",
       "principal.tenant_id, principal.api_key_id, digest", 'principal.tenant_id, "", digest',
       _ONCE),
    _m("cache", "the tenant of a kept answer's name", "application/answer_store.py",
       "digest = await self.sealer.digest(home, Purpose.ANSWER_HMAC, canonical)",
       "digest = canonical", f"{_UNIT}/application/test_cached_answers.py"),
    _m("cache", "the groups of a kept answer", "application/answer_store.py",
       '"groups": sorted(ctx.groups or ()),', "",
       f"{_UNIT}/application/test_cached_answers.py"),
    _m("cache", "the end user of a kept answer", "application/answer_store.py",
       '"user": user_hash,', "", f"{_UNIT}/application/test_cached_answers.py"),
    _m("cache", "that a read asks for the key afresh", "adapters/postgres/directory.py",
       "known = None if fresh else self._cached(digest)", "known = self._cached(digest)",
       "tests/integration/ledger/test_directory.py"),
    _m("cache", "the groups of an idempotent request", "entrypoints/http/attribution.py",
       "startswith(DECIDING_PREFIXES)", 'startswith("x-amzn-bedrock-")',
       f"{_UNIT}/http/test_attribution.py"),
)  # fmt: skip
_SEALS = (
    _m("seal", "the tenant of a sealed API key's secret", "adapters/postgres/api_keys.py",
       "/{tenant_id}/{api_key_id}", "/{api_key_id}", f"{_UNIT}/postgres/test_api_keys.py"),
    _m("seal", "the row of a sealed API key's secret", "adapters/postgres/api_keys.py",
       "/{tenant_id}/{api_key_id}", "/{tenant_id}", f"{_UNIT}/postgres/test_api_keys.py"),
    _m("seal", "the API key of a kept answer", "application/idempotency.py",
       'return f"{key.kind}/{key.api_key_id}/', 'return f"{key.kind}/', _MOVED),
    _m("seal", "the idempotency key of a kept answer", "application/idempotency.py",
       "{key.key_hmac.hex()}/", "", _MOVED),
    _m("seal", "the request of a kept answer", "application/idempotency.py",
       "{key.key_hmac.hex()}/{request_id}", "{key.key_hmac.hex()}", _MOVED),
    _m("seal", "the name of an answer that may be given again", "application/answer_store.py",
       'return f"{name.hex()}/{object_id}"', "return object_id", _EXCHANGED_ANSWERS),
    _m("seal", "the session of words that are exported", "application/sessions.py",
       'if document["session"] != session_id:', "if False:", _EXCHANGED_ANSWERS),
    _m("seal", "the tenant of an object's folder", "adapters/objects/disk.py",
       'b"tenantry/objects/" + home.tenant_id.encode()', 'b"tenantry/objects/"',
       f"{_UNIT}/knowledge/test_same_segment.py"),
    _m("seal", "the tenant in AWS KMS's encryption context", "adapters/keys/aws_kms.py",
       '"tenantry:tenant": name.tenant_id,', "", _AWS_KMS),
    _m("seal", "the version in AWS KMS's encryption context", "adapters/keys/aws_kms.py",
       '"tenantry:version": str(name.version),', "", _AWS_KMS),
    _m("seal", "the tenant's own KMS key", "adapters/keys/wrapped_key.py",
       'return f"own-{home.tenant_id}" if home.own_kms_key else SHARED_KMS_KEY',
       "return SHARED_KMS_KEY", _KEYS),
)  # fmt: skip
_SEEN = (
    _m("access", "tags in a list", "application/documents.py",
       "lambda card: may_see(card.access, groups)", "lambda card: True", _DOCUMENTS),
    _m("access", "tags of one document: read, downloaded, removed", "application/documents.py",
       "card is None or not may_see(card.access, groups)", "card is None", _DOCUMENTS),
    _m("access", "the card of an original that is given", "application/documents.py",
       "if _is_of(seen, card):", "if True:",
       "tests/integration/knowledge/test_exchanged_rows.py"),
    _m("access", "tags in a search and an answer", "domain/access.py",
       "return _shares(tags, self.groups)", "return True", _DOCUMENTS),
    _m("access", "that one tag must be shared", "domain/access.py",
       "not tags or not tags.isdisjoint(groups)", "not tags or bool(groups)", _DOCUMENTS),
    _m("access", "tags of a document that an upload is the same as", "application/ingestion.py",
       "if may_see(card.access, caller.groups):", "if True:", _UPLOADS),
    _m("access", "tags of a document that the same upload is to replace",
       "application/ingestion.py", "if held is None or held.replaces is None:", "if True:",
       _UPLOADS),
)  # fmt: skip
_ROUTES = (
    _m("route", "the scope of documents' reads", "entrypoints/http/knowledge/documents.py",
       ", _READ", "", _SCOPES),
    _m("route", "the scope of documents' writes", "entrypoints/http/knowledge/documents.py",
       ", _WRITE", "", _SCOPES),
    _m("route", "the scope of a search", "entrypoints/http/knowledge/questions.py",
       "(Scope.SEARCH,)", "()", _SCOPES),
    _m("route", "the scope of an answer's documents", "entrypoints/http/knowledge/questions.py",
       "(Scope.INFER, Scope.SEARCH)", "(Scope.INFER,)", _SCOPES),
    _m("route", "the scope of Bedrock's calls", "entrypoints/http/bedrock/handlers.py",
       "        access,\n        summary,\n        (Scope.INFER,),",
       "        access,\n        summary,\n        (),", _SCOPES),
    _m("route", "the scope of budgets", "entrypoints/http/tenant/budgets.py",
       ", _ADMIN", "", _SCOPES),
    _m("route", "the scope of API keys", "entrypoints/http/tenant/keys.py",
       ", _ADMIN", "", _SCOPES),
    _m("route", "that scopes are asked for", "entrypoints/http/app.py",
       "for scope in route.scopes:", "for scope in ():",
       "tests/integration/http/test_knowledge.py", "attack:post-v1-search.without-"),
    _m("route", "that a chat over documents may search", "entrypoints/http/app.py",
       "if route.takes_knowledge and KNOWLEDGE_HEADER in request.headers:", "if False:",
       "tests/integration/http/test_grounded_chats.py", "attack:prompt.chat-without-search"),
    _m("route", "that tenants' own routes ask afresh", "entrypoints/http/routes.py",
       "        Access.TENANT_FRESH,\n", "        Access.TENANT,\n", _ACCESS),
    _m("route", "that tenants' own routes are not public", "entrypoints/http/routes.py",
       "        Access.TENANT_FRESH,\n", "        Access.PUBLIC,\n", _ACCESS),
    _m("route", "that the admin port is the operator's", "entrypoints/http/adminplane.py",
       "        Access.OPERATOR,\n", "        Access.PUBLIC,\n", _ACCESS),
    _m("route", "the operator's token", "entrypoints/http/app.py",
       "if not hmac.compare_digest(digest, self._services.operator_token_sha256):", "if False:",
       "tests/integration/http/test_admin.py"),
    _m("route", "that a header names no tenant", "entrypoints/http/app.py",
       "principal = await self._who(route, request)",
       "principal = _named(await self._who(route, request), request)",
       "attack:get-v1-documents.tenant-in-header"),
    _m("route", "that a budget in provider cost is the operator's",
       "entrypoints/http/tenant/budgets.py", 'if key.basis != "charge":', "if False:",
       "tests/integration/stack/test_tenant_admin.py", "attack:money.guard-removed"),
    _m("route", "that `requestMetadata` keeps our keys",
       "entrypoints/http/bedrock/metadata.py", "ours = sorted(OWN_METADATA & value.keys())",
       "ours = []",
       f"{_UNIT}/http/test_bedrock_requests.py"),
)  # fmt: skip
_WHO = (
    _m("signature", "that it matches", "domain/sigv4.py",
       "if not hmac.compare_digest(expected, authorization.signature):", "if False:", _SIGNED),
    _m("signature", "its time", "domain/sigv4.py", "if abs(now - signed_at) > SKEW_MAX:",
       "if False:", _SIGNED),
    _m("signature", "its host", "domain/sigv4.py",
       "if _HOST_NAMES.isdisjoint(authorization.signed_headers):", "if False:", _SIGNED),
    _m("signature", "headers that decide", "domain/sigv4.py",
       "if any(map(_decides, seen.keys() - set(authorization.signed_headers))):", "if False:",
       _SIGNED, "attack:signature.groups-unsigned"),
    _m("signature", "its service", "domain/sigv4.py", "if scope.service != SERVICE:", "if False:",
       _SIGNED),
    _m("signature", "its payload", "domain/sigv4.py",
       'if seen.get("x-amz-content-sha256", request.payload_sha256) != request.payload_sha256:',
       "if False:", _SIGNED),
    _m("signature", "that it brings no session token", "domain/sigv4.py",
       'if "x-amz-security-token" in seen:', "if False:", _SIGNED),
    _m("signature", "the access key of a cached signing key", "application/authenticate.py",
       "name = (access_key_id, secret, date, region)", 'name = ("", b"", date, region)',
       f"{_UNIT}/http/test_authenticate.py"),
)  # fmt: skip
_PLACES = (
    _m("placement", "the regions of the placement", "application/upstream.py",
       "if region not in usable:", "if False:", _REGIONS),
    _m("placement", "the regions of tenant and plan", "application/upstream.py",
       "if region not in allowed:", "if False:", _REGIONS),
    _m("placement", "the regions behind a profile", "application/upstream.py",
       "if prefix is not None and prefix not in allowed:", "if False:", _REGIONS),
    _m("placement", "the account of a profile", "application/upstream.py",
       "reference.account not in (None, placement.account)", "False", _REGIONS),
    _m("placement", "the models of plan and API key", "application/upstream.py",
       "if allowed is not None and not names & allowed:", "if False:", _REGIONS),
    _m("placement", "that metadata keeps our keys", "application/upstream.py", "if taken:",
       "if False:", _REGIONS),
    _m("placement", "the guardrails of the plan", "application/guarding.py",
       'if f"{guardrail.identifier}:{guardrail.version}" not in allowed:', "if False:",
       f"{_UNIT}/application/test_guarding.py"),
)  # fmt: skip
_UNITS = (
    _m("unit of work", "that it ends", "adapters/postgres/unit_of_work.py",
       "self._given = None", "pass", _WORK),
)  # fmt: skip
MUTANTS = (*_CACHES, *_SEALS, *_SEEN, *_ROUTES, *_WHO, *_PLACES, *_UNITS)
# What a mutant's new words need beside them.
FURTHER = {
    "_named(": (
        "\n\ndef _named(principal: Any, request: Any) -> Any:\n"
        "    import dataclasses\n"
        '    said = request.headers.get("x-tenant-id")\n'
        "    if principal is None or said is None:\n"
        "        return principal\n"
        "    tenant = dataclasses.replace(principal.tenant, id=said)\n"
        "    return dataclasses.replace(principal, tenant=tenant)\n"
    ),
    "hashlib.sha256(canonical)": "\n\nimport hashlib  # noqa: E402\n",
}
