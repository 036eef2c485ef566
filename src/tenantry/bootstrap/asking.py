"""The use cases that ask a tenant's documents, over one search and one store of sessions."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.reindexes import PostgresReindexes
from tenantry.adapters.postgres.sessions import PostgresSessionIndex
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.application.answers import Answers
from tenantry.application.conversing import Conversations
from tenantry.application.embeddings import Embeddings
from tenantry.application.finding import Finder
from tenantry.application.gate import Gate
from tenantry.application.grounded import Grounded
from tenantry.application.knowledge import Knowledge
from tenantry.application.library import Library
from tenantry.application.model_calls import ModelCalls
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.planning import Planning
from tenantry.application.reindexing import Reindexing
from tenantry.application.reranking import Reranker
from tenantry.application.sessions import Sessions
from tenantry.application.streaming import StreamLimits
from tenantry.config import Settings
from tenantry.ports.labels import Labels
from tenantry.ports.model import ModelPort


@dataclass(frozen=True, slots=True)
class Asking:
    library: Library
    grounded: Grounded
    answers: Answers
    conversations: Conversations
    reranker: Reranker
    reindexing: Reindexing


def asking_of(
    config: Settings,
    databases: Databases,
    knowledge: Knowledge,
    gate: Gate,
    planning: Planning,
    embeddings: Embeddings,
    calls: ModelCalls,
    model: ModelPort,
    tasks: OwnedTasks,
    labels: Labels,
) -> Asking:
    clock = knowledge.clock
    reranker = Reranker(gate, planning, model, tasks)
    finder = Finder(knowledge, embeddings, reranker)
    grounded = Grounded(gate, planning, finder, calls, model, tasks, clock, limits_of(config))
    answers = Answers(grounded)
    sessions = _sessions(databases, knowledge, labels)
    reindexes = PostgresReindexes(TenantWork(databases.app))
    reindexing = Reindexing(knowledge, reindexes, embeddings)
    return Asking(
        Library(knowledge, reindexing, gate, planning, embeddings, finder, tasks, clock),
        grounded,
        answers,
        Conversations(answers, sessions, tasks, clock),
        reranker,
        reindexing,
    )


def limits_of(config: Settings) -> StreamLimits:
    return StreamLimits(drain_cap_ms=config.drain_cap_ms)


def _sessions(databases: Databases, knowledge: Knowledge, labels: Labels) -> Sessions:
    return Sessions(
        index=PostgresSessionIndex(TenantWork(databases.app)),
        objects=knowledge.objects,
        keys=knowledge.keys,
        sealer=knowledge.sealer,
        labels=labels,
        clock=knowledge.clock,
    )
