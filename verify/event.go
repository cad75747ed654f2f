package verify

import (
	"time"

	"ackbox/client"
)

// Op is what an event is about.
type Op string

// What clients do (an invoke, then one end with the same Call) and what they see (a single event of phase ok). The
// fields named are those that the rules read, beside At, Op, Phase, User, Device and Node.
const (
	// OpSend: invoke has Key, Hash, Type and To or Conversation; ok has Key, Duplicate and the answered message as
	// Sights[0], whose Seq is mailbox_seq. Every try of a key is a call of its own.
	OpSend Op = "send"
	// OpPush is a message frame: Sights[0] (Seq 0 for a log conversation's message), Attempt, Connection.
	OpPush Op = "push"
	// OpPull is a pull of the mailbox. Invoke has After, and Acks when it is a sync; ok has After, Sights, Head, Floor, More.
	OpPull Op = "pull"
	// OpHistory is a pull of a conversation, ascending. Invoke has Conversation and After; ok those, Sights, Head, More.
	OpHistory Op = "history"
	// OpAck: invoke has UpTo (0 for none) and Messages or Conversation with ConversationSeq (a log conversation's
	// position); ok has Acked.
	OpAck Op = "ack"
	// OpReceipt is a receipt frame: Conversation, Users[0] (who has received or read), Kind, UpTo, Connection.
	OpReceipt Op = "receipt"
	// OpPositions reads the receipts by REST; ok has Conversation and Positions.
	OpPositions Op = "positions"
	// OpRead moves the own read position: Conversation, UpTo.
	OpRead Op = "read"
	// OpCreate makes a group of oneself and Users; ok has Conversation.
	OpCreate Op = "create"
	// OpJoin adds Users to Conversation.
	OpJoin Op = "join"
	// OpLeave takes Users out of Conversation: a kick, or leaving when it is oneself.
	OpLeave Op = "leave"
	// OpDissolve ends the group Conversation.
	OpDissolve Op = "dissolve"
	// OpBlock and OpUnblock: Users[0].
	OpBlock   Op = "block"
	OpUnblock Op = "unblock"
	// OpRecall takes Message of Conversation back.
	OpRecall Op = "recall"
	// OpConnect opens a socket. Invoke has After (the last_seq that the device says it holds; it acks) or -1 for none;
	// ok is the hello: Connection, Acked, Head, Reset.
	OpConnect Op = "connect"
	// OpClose is the end of a socket: Connection, Code (0 without a close frame), Detail.
	OpClose Op = "close"
	// OpReset: the device's positions were not the server's (hello's reset, or position_lost), and it has stepped back to
	// UpTo of its mailbox; what it held above does not count any more. With Conversation: of that log conversation.
	OpReset Op = "reset"
	// OpForget deletes Device; its position starts anew.
	OpForget Op = "forget"
	// OpRetire: the device is gone on purpose and need not be complete in the end.
	OpRetire Op = "retire"
	// OpFault is a disturbance: begin and end, with Fault its name and, at begin, Limit.
	OpFault Op = "fault"
	// OpKeep is a copy of the whole store being made: begin and end. It holds what the store held at a moment between them.
	OpKeep Op = "keep"
	// OpLoss: the store is dead, and what comes back in its place is the copy that was kept with the same Call. What was
	// told before the copy began is still true, what is asked for after the loss is answered from what came back, and
	// what lies between may have happened or not.
	OpLoss Op = "loss"
)

// Phase is where in an operation an event is.
type Phase string

// The phases. A call ends with ok, fail (refused: it changed nothing) or unknown (no answer, or one that can't say).
const (
	Invoke  Phase = "invoke"
	OK      Phase = "ok"
	Fail    Phase = "fail"
	Unknown Phase = "unknown"
	Begin   Phase = "begin"
	End     Phase = "end"
)

// Event is one line of a history.
type Event struct {
	At    time.Duration `json:"at"` // since the recorder began, of a clock that doesn't step
	Op    Op            `json:"op"`
	Phase Phase         `json:"phase"`
	Call  int64         `json:"call,omitempty"` // joins an invoke with its end

	User       client.UserID `json:"user,omitempty"` // whose client
	Device     string        `json:"device,omitempty"`
	Node       string        `json:"node,omitempty"`       // the base URL that the client uses
	Connection string        `json:"connection,omitempty"` // of a socket

	Conversation    client.ConversationID `json:"conversation,omitempty"`
	ConversationSeq int64                 `json:"conversation_seq,omitempty"`
	Message         client.MessageID      `json:"message,omitempty"`
	Messages        []client.MessageID    `json:"messages,omitempty"`
	To              client.UserID         `json:"to,omitempty"`
	Users           []client.UserID       `json:"users,omitempty"`
	Key             string                `json:"key,omitempty"`
	Type            string                `json:"type,omitempty"`
	Hash            Hash                  `json:"hash,omitempty"`
	Duplicate       bool                  `json:"duplicate,omitempty"`
	Attempt         int                   `json:"attempt,omitempty"`

	After int64  `json:"after,omitempty"`
	UpTo  int64  `json:"up_to,omitempty"`
	Head  int64  `json:"head,omitempty"`
	Floor int64  `json:"floor,omitempty"`
	Acked int64  `json:"acked,omitempty"`
	Acks  bool   `json:"acks,omitempty"`
	More  bool   `json:"more,omitempty"`
	Reset bool   `json:"reset,omitempty"`
	Kind  string `json:"kind,omitempty"` // delivered or read

	Sights    []Sight    `json:"sights,omitempty"`
	Positions []Position `json:"positions,omitempty"`

	Fault  string        `json:"fault,omitempty"`
	Limit  time.Duration `json:"limit,omitempty"` // longest delay after the fault's end for what it has touched
	Code   int           `json:"code,omitempty"`  // HTTP status or close code
	Detail string        `json:"detail,omitempty"`
}

// Position is how far a member has received and read, as REST tells it.
type Position struct {
	User      client.UserID `json:"user"`
	Delivered int64         `json:"delivered"`
	Read      int64         `json:"read"`
}
