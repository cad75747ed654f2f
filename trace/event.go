// Package trace keeps what happened to messages on this node: small records that the send and push paths
// copy into a bounded buffer, and that one goroutine writes to segment files in the data folder twice a second. It
// never makes a path wait: what does not fit is dropped and counted. How long and how much is kept is bounded, and
// above a rate only a sample of the messages is followed, chosen by a hash of their ids so that all nodes follow the same ones.
//
// Nothing depends on it: what the tables say of a message is true without any trace.
package trace

import (
	"ackbox/model"
)

// Kind is what happened.
type Kind uint8

// Kinds. Those of a range are about a device's or a member's position and not about one message: (After, Seq] of the
// user's mailbox, or with a Conversation of its conversation_seqs.
const (
	Accepted        Kind = iota + 1 // the writer took the send; Count: its recipients
	Committed                       // its transaction is durable; Batch, Count: its size, Took
	Duplicate                       // a send with its key was answered with it
	Relayed                         // told to the other nodes; Count: mailboxes, 0 for a log conversation
	Pushed                          // handed to a socket; of a log conversation Count sockets together
	PushFailed                      // the socket was closed
	Retried                         // pushed again
	Acked                           // the device's ack of a push
	AckedByPosition                 // range: an ack of what this node had not pushed
	Receipt                         // range: a member has received; told to the senders
	Read                            // range: a member has read
	Evicted                         // the ack queue forgot the push
	SweepRepair                     // range: the sweep found the session behind
	Behind                          // range: the client was told to pull
	Closed                          // range: the server closed the socket while this waited; Count: the close code
	Recalled                        // its content was taken back
	Synced                          // the device pulled it
	kinds                           // how many, and one
)

var kindNames = [kinds]string{
	Accepted: "accepted", Committed: "committed", Duplicate: "duplicate", Relayed: "relayed", Pushed: "pushed", PushFailed: "push_failed", Retried: "retried", Acked: "acked",
	AckedByPosition: "acked_by_position", Receipt: "receipt", Read: "read", Evicted: "evicted", SweepRepair: "sweep_repair", Behind: "behind", Closed: "closed", Recalled: "recalled", Synced: "synced",
}

// String is the kind's name in answers.
func (k Kind) String() string {
	if k == 0 || k >= kinds {
		return "unknown"
	}
	return kindNames[k]
}

// Kinds lists all names.
func Kinds() []string { return kindNames[1:] }

// Event is one record. Fields that a kind has no use for are zero.
type Event struct {
	At           int64                `json:"at"` // Unix microseconds
	Kind         Kind                 `json:"k"`
	Waits        bool                 `json:"w,omitzero"` // of a push: the frame waits for the socket
	Attempt      int32                `json:"n,omitzero"` // of a push, 1 for the first
	Message      model.MessageID      `json:"m,omitzero"`
	Conversation model.ConversationID `json:"v,omitzero"` // of a range of conversation_seqs
	User         model.UserID         `json:"u,omitzero"` // whose mailbox or membership
	Device       model.DeviceID       `json:"d,omitzero"`
	Connection   string               `json:"c,omitzero"`
	After        int64                `json:"a,omitzero"`
	Seq          int64                `json:"s,omitzero"`
	Count        int64                `json:"x,omitzero"`
	Took         int64                `json:"t,omitzero"` // microseconds
	Batch        model.MessageID      `json:"b,omitzero"` // the batch's first message: its name
}
