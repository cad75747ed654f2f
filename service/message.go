package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"time"

	"ackbox/model"
	"ackbox/trace"
)

// sendPatience bounds a send from its arrival to its answer.
const sendPatience = 15 * time.Second

// Messages is the send path: validate, authorise, window, writer, and (after the
// commit) the relay. To learn the product read Send, then delivery.go.
type Messages struct {
	store         *model.Store
	ids           *IDs
	window        *Window
	writer        *Writer
	audiences     *Audiences
	conversations *Conversations
	recallWindow  time.Duration
	clock         func() time.Time
	limits        *Limits
}

// NewMessages wires the part.
func NewMessages(store *model.Store, ids *IDs, window *Window, writer *Writer, audiences *Audiences, conversations *Conversations, recallWindow time.Duration, clock func() time.Time) *Messages {
	return &Messages{store: store, ids: ids, window: window, writer: writer, audiences: audiences, conversations: conversations, recallWindow: recallWindow, clock: clock}
}

// LimitedBy bounds what one conversation takes. Set before use.
func (m *Messages) LimitedBy(limits *Limits) *Messages {
	m.limits = limits
	return m
}

// Draft is what a user asks to send. Exactly one of To and Conversation is set.
type Draft struct {
	Sender       model.UserID
	ClientMsgID  string // the idempotency key, 1 to 64 visible ASCII characters
	To           model.UserID
	Conversation model.ConversationID
	Type         model.MessageType
	Body, Ext    model.JSON
	ReplyTo      model.MessageID // 0: none
	Mentions     model.Mentions  // in groups; nil: none
}

// Sent is the answer to a send.
type Sent struct {
	Message    *model.Message
	JSON       []byte // the message encoded
	MailboxSeq int64  // in the sender's own mailbox; 0 in a log conversation
	Duplicate  bool   // an earlier send of this key made the message
}

// Send makes a message durable and answers it; the same key answers the first one
// again. Errors: CodeValidation, CodeNotFound, CodeBlocked, CodeKeyReused,
// CodeUnavailable (nothing was stored), CodeUnknownOutcome (repeat with the same key).
func (m *Messages) Send(ctx context.Context, d Draft) (Sent, error) {
	ctx, cancel := context.WithTimeout(ctx, sendPatience)
	defer cancel()
	sent, err := m.send(ctx, d)
	if d.To != 0 && model.CodeOf(err) == model.CodeNotFound && m.conversations.Forget(d.Sender, d.To) {
		// A direct conversation that we know and the database does not: it has lost its tail.
		sent, err = m.send(ctx, d)
	}
	return sent, err
}

func (m *Messages) send(ctx context.Context, d Draft) (sent Sent, err error) {
	msg, audience, err := m.prepare(ctx, d)
	if err != nil {
		return Sent{}, err
	}
	hash := contentHash(msg)
	refusal := m.refusal(audience, d)
	if refusal == nil {
		refusal = m.mayName(ctx, msg)
	}
	if refusal != nil {
		// What was accepted before a block stays accepted: its repeat gets its answer.
		if sent, err := m.earlier(ctx, d, hash, 0); model.CodeOf(err) != model.CodeNotFound {
			return sent, err
		}
		return Sent{}, refusal
	}
	// Only those who may send count: a stranger cannot use a conversation's share up.
	if err := m.limits.Take(ctx, Ask{LimitSendConversation, strconv.FormatInt(int64(msg.ConversationID), 10)}); err != nil {
		return Sent{}, err
	}
	leave, won, err := m.window.Enter(ctx, d.Sender, d.ClientMsgID)
	if err != nil {
		return Sent{}, unknownOutcome(err)
	}
	if !won {
		patience := time.Duration(0) // a send of this node, which has ended
		if leave != nil {
			patience = m.window.Length()
			defer func() { leave(true) }() // another node has the window: its key is not ours to drop
		}
		sent, err := m.earlier(ctx, d, hash, patience)
		if err == nil || model.CodeOf(err) != model.CodeNotFound {
			return sent, err
		}
		// Whoever had the key failed, or is still at it: the row decides.
	} else {
		defer func() { leave(err == nil) }()
	}
	var committed Committed
	var duplicate bool
	committed, duplicate, err = m.writer.Write(ctx, msg, hash, audience)
	if err != nil {
		return Sent{}, err
	}
	return Sent{Message: committed.Message, JSON: committed.JSON, MailboxSeq: committed.Message.SenderSeq, Duplicate: duplicate}, nil
}

// prepare checks a draft and resolves whom it is for.
func (m *Messages) prepare(ctx context.Context, d Draft) (*model.Message, *model.Audience, error) {
	if !model.ValidClientMsgID(d.ClientMsgID) {
		return nil, nil, model.Invalid("body.client_msg_id", "want 1 to 64 visible ASCII characters, such as a UUID", d.ClientMsgID)
	}
	if (d.To == 0) == (d.Conversation == 0) {
		return nil, nil, model.Invalid("body.to_user_id", "want exactly one of to_user_id and conversation_id", nil)
	}
	body, ext, err := content(d.Type, d.Body, d.Ext)
	if err != nil {
		return nil, nil, err
	}
	if err := checkMentions(d.Mentions); err != nil {
		return nil, nil, err
	}
	conversation := d.Conversation
	if d.To != 0 {
		if conversation, err = m.conversations.Direct(ctx, d.Sender, d.To); err != nil {
			return nil, nil, err
		}
	}
	audience, err := m.audiences.Get(ctx, conversation)
	if err != nil {
		return nil, nil, err
	}
	if d.To == 0 && audience.Empty { // of to_user_id Direct has decided
		if audience, err = m.conversations.Begin(ctx, d.Sender, audience); err != nil {
			return nil, nil, err
		}
	}
	if m.refusal(audience, d) != nil { // perhaps only the cached audience is old
		if audience, err = m.audiences.Refresh(ctx, conversation); err != nil {
			return nil, nil, err
		}
	}
	if d.ReplyTo != 0 {
		if err := m.checkReply(ctx, d.Sender, conversation, d.ReplyTo); err != nil {
			return nil, nil, err
		}
	}
	id, err := m.ids.Next()
	if err != nil {
		return nil, nil, err
	}
	msg := &model.Message{ID: model.MessageID(id), ConversationID: conversation, SenderID: d.Sender, ClientMsgID: d.ClientMsgID, Type: d.Type, Body: body, Ext: ext, ReplyTo: d.ReplyTo, Mentions: d.Mentions}
	return msg, audience, nil
}

// refusal is why an audience does not take a draft, or nil.
func (m *Messages) refusal(audience *model.Audience, d Draft) error {
	if err := audience.MaySend(d.Sender, model.MillisOf(m.clock())); err != nil {
		return err
	}
	return mayMention(audience, d.Mentions)
}

// checkReply is CodeNotFound unless the sender sees the message in this conversation. Who
// is no member any more is left to MaySend.
func (m *Messages) checkReply(ctx context.Context, sender model.UserID, conversation model.ConversationID, to model.MessageID) error {
	member, err := m.store.MemberOf(ctx, conversation, sender)
	if model.CodeOf(err) == model.CodeNotFound {
		return nil // and learns nothing of the message
	}
	if err != nil {
		return err
	}
	target, err := m.store.MessageByID(ctx, to)
	if err != nil {
		return err
	}
	if target.ConversationID != conversation {
		return model.NotFound("message")
	}
	if target.ConversationSeq > member.JoinedSeq {
		return nil
	}
	c, err := m.store.ConversationByID(ctx, conversation)
	if err != nil {
		return err
	}
	if target.ConversationSeq <= member.SeesAfter(c) { // its past is not open
		return model.NotFound("message")
	}
	return nil
}

// contentHash is what tells a repeat from a reused key: 16 bytes of SHA-256 over
// everything the sender said.
func contentHash(m *model.Message) []byte {
	b := make([]byte, 0, 64+len(m.Body)+len(m.Ext))
	b = binary.BigEndian.AppendUint64(b, uint64(m.ConversationID))
	b = binary.BigEndian.AppendUint64(b, uint64(m.ReplyTo))
	for _, part := range []string{string(m.Type), string(m.Body), string(m.Ext)} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	if len(m.Mentions) > 0 {
		b = m.Mentions.AppendJSON(b)
	}
	sum := sha256.Sum256(b)
	return sum[:16]
}

// earlierPoll is how often a node looks for another node's commit of the same key.
const earlierPoll = 10 * time.Millisecond

// earlier answers from the store what another send of the key has made, waiting for it
// with the given patience. CodeNotFound when there is nothing.
func (m *Messages) earlier(ctx context.Context, d Draft, hash []byte, patience time.Duration) (Sent, error) {
	deadline := time.Now().Add(patience)
	key := []model.SendKey{{SenderID: d.Sender, ClientMsgID: d.ClientMsgID}}
	for {
		found, err := m.store.SendKeys(ctx, key)
		if err != nil {
			if model.Unreachable(err) {
				return Sent{}, unknownOutcome(err)
			}
			return Sent{}, err
		}
		if len(found) > 0 {
			if !bytes.Equal(found[0].ContentHash, hash) {
				return Sent{}, keyReused()
			}
			first, err := m.store.MessageByID(ctx, found[0].MessageID)
			if err != nil {
				return Sent{}, unknownOutcome(err)
			}
			metrics.duplicates.Inc()
			m.conversations.delivery.tellMessage(trace.Duplicate, first.ID, first.SenderID, 1)
			return Sent{Message: first, JSON: first.AppendJSON(nil), MailboxSeq: first.SenderSeq, Duplicate: true}, nil
		}
		if !time.Now().Before(deadline) {
			return Sent{}, model.NotFound("message")
		}
		if err := pause(ctx, earlierPoll); err != nil {
			return Sent{}, unknownOutcome(err)
		}
	}
}
