"""Errors in the functions that cross tenants: each takes away what keeps one to its tenant.

A mutant is made of the function as the database holds it, so that a later migration that changes
one tells at once which mutants are to be looked at again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.integration.ledger import test_archive as archive
from tests.integration.ledger import test_crossing as crossing
from tests.integration.ledger import test_crossing_keys as keys
from tests.integration.ledger import test_crossing_numbers as numbers
from tests.integration.ledger import test_crossing_waste as waste
from tests.integration.ledger import test_own_keys as own_keys
from tests.integration.ledger import test_rate_pages as rates
from tests.integration.ledger import test_walls as walls
from tests.support.postgres import Database

Killer = Callable[[Database], None]
DEFINITION = (
    "SELECT pg_get_functiondef(p.oid) FROM pg_proc p"
    " WHERE p.pronamespace = 'tenantry'::regnamespace AND p.proname = $1"
)


@dataclass(frozen=True, slots=True)
class FunctionMutant:
    """In `function`, which `definer` is or calls, the `nth` `old` becomes `new`."""

    definer: str
    guard: str  # what is taken away
    old: str
    new: str
    killer: Killer
    function: str = ""  # the definer itself where none is named
    nth: int = 1

    @property
    def mutated(self) -> str:
        return self.function or self.definer

    def statement(self, definition: str) -> str:
        pieces = definition.split(self.old)
        assert len(pieces) > self.nth, f"{self.mutated} has changed: look at '{self.guard}' again"
        before, after = pieces[: self.nth], pieces[self.nth :]
        return self.old.join(before) + self.new + self.old.join(after)


def _a_month(database: Database) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive.test_a_month_is_archived_and_its_usage_is_still_told(database, Path(folder))


_M = FunctionMutant
_LAST = "(SELECT max(t.tenant_id) FROM tenantry.tenant t)"  # of the test's two, the other one
_FIRST = "(SELECT min(t.tenant_id) FROM tenantry.tenant t)"
MUTANTS = (
    _M("authenticate", "the key's own tenant", "t.tenant_id = k.tenant_id", "true",
       crossing.test_a_key_opens_its_own_tenant),
    _M("authenticate", "the bearer that was presented", "bearer_hmac = p_bearer_hmac", "true",
       crossing.test_a_key_opens_its_own_tenant),
    _M("authenticate", "the access key that was presented", "access_key_id = p_access_key_id",
       "true", crossing.test_a_key_opens_its_own_tenant),
    _M("gate_batch", "the tenant whose request is settled",
       "r.tenant_id = o.tenant_id AND r.request_id", "r.request_id",
       crossing.test_a_request_of_the_same_id_is_another_tenants, "settle_whole"),
    _M("gate_batch", "the tenant whose request is settled in steps",
       "x.tenant_id = p_outcomes[1].tenant_id AND ", "",
       crossing.test_a_request_of_the_same_id_is_another_tenants, "settle_steps"),
    _M("gate_batch", "the tenant whose budgets move", "b.tenant_id = m.tenant_id AND ", "",
       crossing.test_budgets_move_by_their_own_tenants_requests, "apply_moves"),
    _M("gate_batch", "the tenant whose counter moves", "c.tenant_id = f.tenant_id", "true",
       crossing.test_budgets_move_by_their_own_tenants_requests, "apply_moves"),
    _M("sweep", "the tenant of the attempt that is late",
       "i.tenant_id = o.tenant_id AND i.request_id", "i.request_id",
       crossing.test_the_sweep_ends_the_request_whose_time_is_over),
    _M("post", "the tenant of the call that was charged",
       "a.tenant_id = p_outcomes[i].tenant_id AND ", "",
       partial(crossing.test_what_is_posted_late_is_charged_by_tenant, at_once=False)),
    _M("post", "the tenant of the call that is charged in the same batch",
       "b.tenant_id = p_outcomes[i].tenant_id AND ", "",
       partial(crossing.test_what_is_posted_late_is_charged_by_tenant, at_once=True)),
    _M("post", "the tenant whose attempt is the customer's",
       "n.tenant_id = p_outcomes[i].tenant_id AND ", "",
       waste.test_what_is_posted_late_is_what_its_own_tenants_attempt_is),
    _M("write_off", "the tenant whose batch job is open", "j.tenant_id = i.tenant_id AND ", "",
       waste.test_another_tenants_batch_job_holds_up_no_write_off),
    _M("give_up", "the tenant whose attempt is given up", "x.alone, x.tenant_id,",
       f"x.alone, {_LAST},", crossing.test_late_postings_are_charged_by_tenant, "end_as_waste"),
    _M("give_up_request", "the tenant whose request is given up",
       "i.tenant_id = p_tenant_id AND ", "",
       waste.test_one_tenants_request_is_given_up),
    _M("set_budget", "the tenant whose budget is set", "t.tenant_id = p_tenant_id", "true",
       crossing.test_an_operators_budget_is_one_tenants),
    _M("set_budget", "the tenant whose use is counted", "WHERE t.tenant_id = p_tenant_id", "",
       crossing.test_an_operators_budget_is_one_tenants, nth=2),
    _M("place_budget", "the tenant whose API key it caps",
       "k.tenant_id = p_tenant_id AND k.api_key_id", "k.api_key_id",
       crossing.test_an_operators_budget_is_one_tenants, "put_budget"),
    _M("place_budget", "the tenant whose use is changed", "u.tenant_id = p_tenant_id AND ", "",
       crossing.test_an_operators_budget_is_one_tenants, "put_budget"),
    _M("place_budget", "the tenant whose budget is changed",
       "WHERE b.tenant_id = p_tenant_id AND b.subject", "WHERE b.subject",
       crossing.test_an_operators_budget_is_one_tenants, "put_budget", 2),
    _M("place_own_budget", "the tenant of the unit of work",
       "current_setting('tenantry.tenant', true)", _LAST,
       crossing.test_an_admins_budget_is_its_own_tenants),
    _M("remove_budget", "the tenant whose budget is known",
       "WHERE b.tenant_id = p_tenant_id AND ", "WHERE ",
       crossing.test_an_operators_budget_is_one_tenants, "drop_budget"),
    _M("remove_budget", "the tenant whose budget is removed",
       "WHERE b.tenant_id = p_tenant_id AND ", "WHERE ",
       crossing.test_an_operators_budget_is_one_tenants, "drop_budget", 2),
    _M("remove_budget", "the tenant whose use is removed", "u.tenant_id = p_tenant_id AND ", "",
       crossing.test_an_operators_budget_is_one_tenants, "drop_budget"),
    _M("remove_own_budget", "the tenant of the unit of work",
       "current_setting('tenantry.tenant', true)", _LAST,
       crossing.test_an_admins_budget_is_its_own_tenants),
    _M("erase_own_budgets", "the tenant of the unit of work",
       "current_setting('tenantry.tenant', true)", _LAST,
       crossing.test_budgets_go_with_their_own_shredded_tenant),
    _M("erase_own_budgets", "that it is shredded", "t.tenant_id = own AND t.status = 'shredded'",
       "t.tenant_id = own", crossing.test_budgets_go_with_their_own_shredded_tenant),
    _M("erase_own_budgets", "the tenant whose use is erased", "u.tenant_id = own AND ", "",
       crossing.test_budgets_go_with_their_own_shredded_tenant),
    _M("erase_own_budgets", "the tenant whose budgets are erased", "WHERE b.tenant_id = own", "",
       crossing.test_budgets_go_with_their_own_shredded_tenant),
    _M("note_own_key", "the tenant of the unit of work",
       "current_setting('tenantry.tenant', true)", _LAST,
       keys.test_a_key_is_noted_for_its_own_tenant_and_once),
    _M("note_own_key", "the tenant whose note stands", "k.tenant_id = own AND ", "",
       keys.test_a_key_is_noted_for_its_own_tenant_and_once),
    _M("note_own_key", "the tenant that is noted", "t.tenant_id = own AND ", "",
       keys.test_a_key_is_noted_for_its_own_tenant_and_once),
    _M("note_own_key", "the tenant whose note is read again", "k.tenant_id = own AND ", "",
       keys.test_a_key_is_noted_for_its_own_tenant_and_once, nth=2),
    _M("note_own_key", "the tenant whose KMS keys are added to", "k.tenant_id = own AND ", "",
       keys.test_what_wraps_a_key_is_added_for_its_own_tenant_and_never_taken_away, nth=3),
    _M("create_own_key", "the tenant of the admin that asks", "k.tenant_id = p_tenant_id AND ",
       "", crossing.test_an_admin_makes_keys_for_its_own_tenant, "admin_key"),
    _M("create_own_key", "the tenant whose budget caps the maker", "b.tenant_id = own AND ", "",
       own_keys.test_a_key_on_which_another_tenants_operator_budget_is_makes_keys),
    _M("create_own_key", "the tenant that the key is made for", "VALUES (own,",
       f"VALUES ({_LAST},", crossing.test_an_admin_makes_keys_for_its_own_tenant),
    _M("revoke_own_key", "the tenant of the admin that asks", "k.tenant_id = p_tenant_id AND ",
       "", walls.test_what_an_admin_may_do_is_done_to_its_own_tenant_alone, "admin_key"),
    _M("revoke_own_key", "the tenant of the key that is known",
       "k.tenant_id = own AND k.api_key_id = p_api_key_id", "k.api_key_id = p_api_key_id",
       crossing.test_an_admin_revokes_keys_of_its_own_tenant),
    _M("revoke_own_key", "the tenant of the key that is revoked",
       "k.tenant_id = own AND k.api_key_id = p_api_key_id", "k.api_key_id = p_api_key_id",
       crossing.test_an_admin_revokes_keys_of_its_own_tenant, nth=2),
    _M("revoke_own_key", "the tenant of the other admin",
       "k.tenant_id = own AND k.api_key_id <> p_by", "k.api_key_id <> p_by",
       crossing.test_an_admin_revokes_keys_of_its_own_tenant),
    _M("period_closing", "the tenant whose requests are waited for",
       "o.tenant_id = p_tenant_id AND ", "",
       crossing.test_another_tenants_request_holds_up_no_period),
    _M("close_period", "the tenant whose requests are open", "o.tenant_id = p_tenant_id\n",
       "true\n",
       crossing.test_another_tenants_request_holds_up_no_period, "advance_billing"),
    _M("close_period", "the tenant whose period ends",
       "a.tenant_id = p_tenant_id AND t.tenant_id = p_tenant_id", "t.tenant_id = p_tenant_id",
       crossing.test_another_tenants_request_holds_up_no_period, "advance_billing"),
    _M("lock_billing", "the tenant whose invoicing is locked",
       "a.tenant_id = p_tenant_id", "true", crossing.test_a_billing_lock_is_one_tenants),
    _M("next_number", "the series that is asked for", "s.series = next_number.series", "true",
       crossing.test_a_number_is_the_next_of_its_own_series),
    _M("continue_after", "the series that is gone on with",
       "SET last = p_last WHERE s.series = p_series", "SET last = p_last WHERE true",
       numbers.test_a_gap_is_told_of_its_own_series),
    _M("finalise", "the tenant whose invoice is credited",
       "i.tenant_id = made.tenant_id AND ", "",
       crossing.test_an_invoice_is_voided_and_credited_by_its_own_tenant),
    _M("void_invoice", "the tenant whose invoice it is",
       "i.tenant_id = p_tenant_id AND i.number = p_number", "i.number = p_number",
       crossing.test_an_invoice_is_voided_and_credited_by_its_own_tenant),
    _M("post_credit", "the tenant whose credit is summed", "e.tenant_id = p_tenant_id AND ", "",
       crossing.test_prepaid_credit_is_one_tenants),
    _M("correct", "the tenant whose attempt is corrected", "x.tenant_id = p_tenant_id AND ", "",
       crossing.test_a_correction_is_of_one_tenants_usage, "standing"),
    _M("convert_by_contract", "the tenant of the contract", "ARRAY[NEW.tenant_id]",
       f"ARRAY[{_LAST}]", crossing.test_budgets_are_converted_by_their_own_tenants_contract),
    _M("convert_page", "the tenant whose rate it is", "t.tenant_id, u.basis, u.period_start",
       f"{_FIRST}, u.basis, u.period_start",
       crossing.test_budgets_are_converted_by_their_own_tenants_contract, "misrated"),
    _M("convert_page", "the tenant whose balances are read", "u.tenant_id = t.tenant_id AND ", "",
       rates.test_a_rate_moves_the_balances_of_its_own_currency_alone, "misrated"),
    _M("convert_page", "the tenant that is looked at", "ARRAY[t.tenant_id]", f"ARRAY[{_LAST}]",
       rates.test_a_rate_moves_the_balances_of_its_own_currency_alone),
    _M("open_billing", "the tenant just created", "SELECT NEW.tenant_id, m.period_start",
       f"SELECT {_FIRST}, m.period_start", crossing.test_a_key_opens_its_own_tenant),
    _M("open_accounts", "the tenant just created", "SELECT NEW.tenant_id, d.day",
       f"SELECT {_FIRST}, d.day", crossing.test_a_key_opens_its_own_tenant),
    _M("carry_forward", "the tenant whose month is compared",
       "e.tenant_id = s.tenant_id AND e.book", "e.book",
       _a_month),
    _M("carry_forward", "the tenant whose balance goes on", "c.tenant_id = e.tenant_id AND ", "",
       _a_month),
)  # fmt: skip
