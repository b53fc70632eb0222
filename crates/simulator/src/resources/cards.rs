//! Test cards and how they behave (FACTS section 15): named by `pm_card_…`, by `tok_…`, or by number.

use crate::problem::Refusal;

/// What paying with a card does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// It pays.
    Pays,
    /// It is declined: code, decline code, message.
    Declines(&'static str, Option<&'static str>, &'static str),
    /// It asks the customer to authenticate; declined when the customer is away.
    Authenticates,
    /// It pays and is disputed at once with this reason; an inquiry moves no money.
    Disputes(&'static str, bool),
}

/// One test card.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Card {
    /// `visa` in `pm_card_visa` and `tok_visa`.
    pub(crate) word: &'static str,
    pub(crate) number: &'static str,
    pub(crate) brand: &'static str,
    pub(crate) funding: &'static str,
    pub(crate) country: &'static str,
    pub(crate) behaviour: Behaviour,
}

const fn card(word: &'static str, number: &'static str, brand: &'static str, behaviour: Behaviour) -> Card {
    Card { word, number, brand, funding: "credit", country: "US", behaviour }
}

use Behaviour::{Authenticates, Declines, Disputes, Pays};

/// A card is recognised again by its last four digits, so these differ wherever the behaviour does.
pub(crate) static CARDS: [Card; 29] = [
    card("visa", "4242424242424242", "visa", Pays),
    Card { funding: "debit", ..card("visa_debit", "4000056655665556", "visa", Pays) },
    card("mastercard", "5555555555554444", "mastercard", Pays),
    card("mastercard_debit", "5200828282828210", "mastercard", Pays),
    card("amex", "378282246310005", "amex", Pays),
    card("discover", "6011111111111117", "discover", Pays),
    card("jcb", "3566002020360505", "jcb", Pays),
    Card { country: "DE", ..card("de", "4000002760000016", "visa", Pays) },
    Card { country: "GB", ..card("gb", "4000008260000000", "visa", Pays) },
    Card { country: "JP", ..card("jp", "4000003920000003", "visa", Pays) },
    card("bypassPending", "4000000000000077", "visa", Pays),
    card(
        "chargeDeclined",
        "4000000000000002",
        "visa",
        Declines("card_declined", Some("generic_decline"), "Your card was declined."),
    ),
    card(
        "visa_chargeDeclined",
        "4000000000000002",
        "visa",
        Declines("card_declined", Some("generic_decline"), "Your card was declined."),
    ),
    card(
        "chargeDeclinedInsufficientFunds",
        "4000000000009995",
        "visa",
        Declines("card_declined", Some("insufficient_funds"), "Your card has insufficient funds."),
    ),
    card(
        "visa_chargeDeclinedInsufficientFunds",
        "4000000000009995",
        "visa",
        Declines("card_declined", Some("insufficient_funds"), "Your card has insufficient funds."),
    ),
    card(
        "visa_chargeDeclinedLostCard",
        "4000000000009987",
        "visa",
        Declines("card_declined", Some("lost_card"), "Your card was declined."),
    ),
    card(
        "visa_chargeDeclinedStolenCard",
        "4000000000009979",
        "visa",
        Declines("card_declined", Some("stolen_card"), "Your card was declined."),
    ),
    card(
        "chargeDeclinedExpiredCard",
        "4000000000000069",
        "visa",
        Declines("expired_card", None, "Your card has expired."),
    ),
    card(
        "chargeDeclinedIncorrectCvc",
        "4000000000000127",
        "visa",
        Declines("incorrect_cvc", None, "Your card's security code is incorrect."),
    ),
    card(
        "chargeDeclinedProcessingError",
        "4000000000000119",
        "visa",
        Declines("processing_error", None, "An error occurred while processing your card. Try again in a little bit."),
    ),
    card(
        "chargeCustomerFail",
        "4000000000000341",
        "visa",
        Declines("card_declined", Some("generic_decline"), "Your card was declined."),
    ),
    card("createDispute", "4000000000000259", "visa", Disputes("fraudulent", false)),
    card("createDisputeProductNotReceived", "4000000000002685", "visa", Disputes("product_not_received", false)),
    card("createDisputeInquiry", "4000000000001976", "visa", Disputes("general", true)),
    card("refundFail", "4000000000005126", "visa", Pays),
    card("pendingRefund", "4000000000007726", "visa", Pays),
    card("threeDSecure2Required", "4000000000003220", "visa", Authenticates),
    card("authenticationRequired", "4000002500003155", "visa", Authenticates),
    card("authenticationRequiredOnSetup", "4000002760003184", "visa", Authenticates),
];

impl Card {
    /// The last four digits of its number.
    pub(crate) fn last4(&self) -> &'static str {
        &self.number[self.number.len() - 4..]
    }

    /// A fingerprint that is the same for the same number.
    pub(crate) fn fingerprint(&self) -> String {
        let hash = self
            .number
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        format!("{hash:016x}")
    }
}

/// The card behind `pm_card_visa`, `tok_visa` or a number.
pub(crate) fn by_word(word: &str) -> Option<&'static Card> {
    let name = word.strip_prefix("pm_card_").or_else(|| word.strip_prefix("tok_"));
    match name {
        Some(name) => CARDS.iter().find(|card| card.word == name),
        None => CARDS.iter().find(|card| card.number == word.replace(' ', "")),
    }
}

/// How a card behaves, from what the payment method shows of it.
pub(crate) fn behaviour(last4: &str) -> Behaviour {
    CARDS.iter().find(|card| card.last4() == last4).map_or(Pays, |card| card.behaviour)
}

/// What becomes of a refund to a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refunds {
    /// It succeeds at once.
    Succeeds,
    /// It succeeds, and the bank returns it later.
    Fails,
    /// It is pending, and succeeds later.
    Waits,
}

/// How a card takes a refund.
pub(crate) fn refunds(last4: &str) -> Refunds {
    match last4 {
        "5126" => Refunds::Fails,
        "7726" => Refunds::Waits,
        _ => Refunds::Succeeds,
    }
}

/// Whether the money of this card skips the days of waiting (Stripe's card for trying out payouts).
pub(crate) fn bypasses_pending(last4: &str) -> bool {
    by_word("pm_card_bypassPending").is_some_and(|card| card.last4() == last4)
}

/// Refuses a card that is not one of the test cards.
pub(crate) fn named(word: &str, param: &str) -> Result<&'static Card, Refusal> {
    by_word(word).ok_or_else(|| {
        Refusal::new(402, "Your card was declined. The simulator knows the test cards only.")
            .code("card_declined")
            .param(param)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_known_by_word_and_number_and_again_by_its_last_digits() {
        for card in &CARDS {
            assert_eq!(behaviour(card.last4()), card.behaviour, "{}", card.word);
            assert!(by_word(card.number).is_some());
        }
        assert_eq!(by_word("pm_card_visa").unwrap().last4(), "4242");
        assert_eq!(by_word("tok_visa").unwrap().last4(), "4242");
        assert_eq!(by_word("4000 0000 0000 0259").unwrap().word, "createDispute");
        assert!(by_word("pm_card_nonsense").is_none());
    }
}
