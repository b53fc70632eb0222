"""Webhooks: delivered to a server of ours, and verified by the client's own function."""

import http.server
import threading

import stripe
from harness import case, client, equal, until

whole = client()


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what it got, as raw bytes."""

    heard = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.heard.append((body, self.headers["stripe-signature"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        """Says nothing: standard output is for results."""


@case("a delivery is verified, and an altered one is not")
def _():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    endpoint = whole.v1.webhook_endpoints.create({"url": url, "enabled_events": ["customer.created", "customer.updated"]})
    made = whole.v1.customers.create({"name": "Hooked"})
    whole.v1.customers.update(made.id, {"name": "Hooked again"})
    until("two deliveries", lambda: len(Receiver.heard) >= 2)
    events = [whole.construct_event(body, signature, endpoint.secret) for body, signature in Receiver.heard]
    updated = next(event for event in events if event.type == "customer.updated")
    equal((updated.data.object.id, updated.data.previous_attributes["name"]), (made.id, "Hooked"))
    body, signature = Receiver.heard[0]
    for payload, secret in ((body.replace(b"Hooked", b"Hacked"), endpoint.secret), (body, "whsec_other")):
        try:
            whole.construct_event(payload, signature, secret)
        except stripe.SignatureVerificationError:
            continue
        raise AssertionError("an altered delivery was taken")
    equal(whole.v1.webhook_endpoints.update(endpoint.id, {"disabled": True}).status, "disabled")
    equal(whole.v1.webhook_endpoints.delete(endpoint.id).deleted, True)
    server.shutdown()
