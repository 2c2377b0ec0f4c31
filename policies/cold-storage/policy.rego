# Bitcoin cold storage: coins go to listed addresses and back to the storage itself, slowly, and two custodians look at
# every transaction.
#
# Change is what the signer derived again from the key itself (`change: true`); whatever else an output claims to be, its
# address must be on the list. Amounts are satoshi: all of them together fit a JSON number.

package cold

import rego.v1

verdict := deny("NOT_A_PSBT", "this key signs Bitcoin transactions only", {}) if {
	not is_psbt
} else := deny("WRONG_CHAIN", "the transaction is for another chain", {"chain": chain}) if {
	not is_on_chain
} else := deny("INPUTS_NOT_ALL_OURS", "not every input is the storage's own", {"outpoint": foreign_inputs[0]}) if {
	count(foreign_inputs) > 0
} else := deny("NOTHING_TO_SIGN", "the transaction has no inputs or no outputs", {}) if {
	not has_both_sides
} else := deny("SIGNATURE_TOO_LOOSE", "a signature would not cover the whole transaction", {"sighash": loose_sighashes[0]}) if {
	count(loose_sighashes) > 0
} else := deny("RECEIVER_NOT_LISTED", "an output is neither proven change nor for a listed address", {"script": foreign_outputs[0].script, "amount": foreign_outputs[0].amount}) if {
	count(foreign_outputs) > 0
} else := deny("FEE_NOT_KNOWN", "the fee cannot be computed: an input's amount is not known", {}) if {
	not fee
} else := deny("FEE_TOO_HIGH", "more is paid in fees than may be", {"limit": data.most_fee}) if {
	fee > data.most_fee
} else := deny("TOO_MUCH_LEAVES", "more leaves at once than the limit for its whole window", {"limit": data.most_a_week}) if {
	leaving > to_number(data.most_a_week)
} else := {
	"verdict": "require_approval",
	"quorum": 2,
	"groups": ["custodians"],
	"lifetime_seconds": 604800,
	"delay_seconds": 86400,
	"reserve": [{
		"counter": "bitcoin/week",
		"window_seconds": 604800,
		"amount": format_int(leaving, 10),
		"limit": data.most_a_week,
	}],
}

deny(code, message, evidence) := {"verdict": "deny", "code": code, "message": message, "evidence": evidence}

default chain := null

chain := input.transaction.chain

is_psbt if input.transaction.type == "psbt"

is_on_chain if input.transaction.chain == data.chain

# A rule of its own: within `not`, a part that is undefined must make the whole of it false, and only a rule or a function
# does so. `not output.address in data.receivers` would pass by an output that has no address.
is_listed(output) if output.address in data.receivers

# What must not be there; each rule is an array of what is.

foreign_inputs := [each.outpoint | some each in input.transaction.inputs; not each.own]

loose_sighashes := [sighash |
	some each in input.transaction.inputs
	sighash := object.get(each, "sighash", "not known")
	not sighash in {"ALL", "DEFAULT"} # of inputs that do not say it, too: `sighash` is always defined
]

foreign_outputs := [each | some each in input.transaction.outputs; not each.change; not is_listed(each)]

has_both_sides if {
	count(input.transaction.inputs) > 0
	count(input.transaction.outputs) > 0
}

# What leaves, without the fee: everything that is not change.
leaving := sum([to_number(each.amount) | some each in input.transaction.outputs; not each.change])

# Undefined where an input does not say its amount.
fee := spent - paid if {
	amounts := [to_number(each.amount) | some each in input.transaction.inputs]
	count(amounts) == count(input.transaction.inputs)
	spent := sum(amounts)
	paid := sum([to_number(each.amount) | some each in input.transaction.outputs])
	spent >= paid
}
