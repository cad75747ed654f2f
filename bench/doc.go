// Package bench is the load generator behind `ackbox bench`. It drives any deployment through the public contract alone
// (REST sends and acks, a WebSocket that only pushes) and keeps a ledger of every message it had accepted, so that a run
// tells not only how fast the service was but also whether something was lost, doubled or pushed out of order.
//
// The generator often shares its machine with what it measures, so it is lean on purpose: a keep-alive HTTP/1.1 client of
// one write and one read a request (conn.go), answers and frames scanned for the few fields that matter (scan.go), and
// what must be known of a message (who sent it, which one, when) carried in its client_msg_id (key.go).
//
// Scenarios: send (closed loop: each client has one send in flight), rate (open loop: sends are due at fixed times
// and latency counts from then, so a stall is charged to every send it delayed), group (closed loop into
// groups that are copied into each member's mailbox), acks (closed loop of acks, single ones and positions), reconnect (many
// clients at once, with messages waiting for each), slow (rate, without and with sockets that do not read), log (one large
// group with everybody online), idle (sockets that only wait).
package bench
