# Ether to listed receivers on one chain, ten a day; more than one at once needs two treasurers.
# The chain and the receivers are in data.json.
package policy

import rego.v1

alone := "1000000000000000000" # 1 ether

most_a_day := "10000000000000000000" # 10 ether

day_seconds := 86400

# What is not there (another kind of request, data that could not be read) is no payment, and is denied.
default verdict := {"verdict": "deny", "code": "CHAIN_NOT_LISTED", "message": "this key signs for one chain only"}

verdict := {"verdict": "allow", "reserve": reserve} if {
	pays_a_receiver
	not large
} else := {
	"verdict": "require_approval",
	"quorum": 2,
	"groups": ["treasurers"],
	"lifetime_seconds": day_seconds,
	"reserve": reserve,
} if {
	pays_a_receiver
} else := {
	"verdict": "deny",
	"code": "RECEIVER_NOT_LISTED",
	"message": "the receiver is not on the list",
} if {
	is_payment
} else := {
	"verdict": "deny",
	"code": "NOT_A_PAYMENT",
	"message": "this key pays ether, and signs nothing else",
} if {
	on_our_chain
}

on_our_chain if input.transaction.chain == data.chain

is_payment if {
	on_our_chain
	input.transaction.data == "0x"
	input.transaction.value
}

pays_a_receiver if {
	is_payment
	input.transaction.to in data.receivers
}

# Amounts are decimal texts, and may be larger than a number that JSON keeps: the longer text is the larger amount.
large if count(input.transaction.value) > count(alone)

large if {
	count(input.transaction.value) == count(alone)
	input.transaction.value > alone
}

reserve := [{
	"counter": "ether/day",
	"window_seconds": day_seconds,
	"amount": input.transaction.value,
	"limit": most_a_day,
}]
