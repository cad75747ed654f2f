package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
	"ackbox/service"
)

// Entry is a message with its place in the caller's mailbox.
type Entry struct {
	Seq     int64          `json:"seq" minimum:"1"`
	Message encodedMessage `json:"message"`
}

// MailboxPage is some entries, ascending, and where the mailbox stands.
type MailboxPage struct {
	Entries []Entry `json:"entries"`
	Head    int64   `json:"head" doc:"The last seq given out"`
	Floor   int64   `json:"floor" doc:"The oldest seq that is still kept"`
	HasMore bool    `json:"has_more"`
}

// Sync acks everything up to after and asks for what is behind it.
type Sync struct {
	DeviceID model.DeviceID  `json:"device_id"`
	After    int64           `json:"after" minimum:"0" doc:"The highest seq that the device holds"`
	AfterID  model.MessageID `json:"after_id,omitempty" doc:"The message_id that the device holds there"`
	Limit    int             `json:"limit,omitempty" minimum:"1" maximum:"200" default:"50"`
}

// Ack says what a device holds.
type Ack struct {
	DeviceID      model.DeviceID    `json:"device_id"`
	UpTo          *int64            `json:"up_to,omitempty" minimum:"0" doc:"Everything up to it"`
	UpToID        model.MessageID   `json:"up_to_id,omitempty" doc:"The message_id that the device holds there"`
	MessageIDs    []model.MessageID `json:"message_ids,omitempty" maxItems:"200" doc:"Single entries, out of order"`
	Conversations []LogAck          `json:"conversations,omitempty" maxItems:"200" doc:"Log conversations, by conversation_seq"`
}

// LogAck is a position in a log conversation.
type LogAck struct {
	ConversationID model.ConversationID `json:"conversation_id"`
	UpTo           int64                `json:"up_to" minimum:"0"`
}

type (
	mailboxInput struct {
		After int64 `query:"after" minimum:"0" default:"0" doc:"Entries after this seq"`
		Limit int   `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	mailboxOutput struct{ Body MailboxPage }
	syncInput     struct{ Body Sync }
	ackInput      struct{ Body Ack }
	ackOutput     struct{ Body ackOutputBody }
	ackOutputBody struct {
		Acked int64 `json:"acked" doc:"The device's cumulative position"`
	}
	summaryInput struct {
		DeviceID string `query:"device_id" required:"true" pattern:"^[A-Za-z0-9._-]{1,64}$"`
	}
	summaryOutput struct{ Body Summary }
)

func (p MailboxPage) appendJSON(b []byte) []byte {
	b = append(b, `{"entries":[`...)
	for i, e := range p.Entries {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"seq":`...), e.Seq, 10)
		b = append(append(append(b, `,"message":`...), e.Message...), '}')
	}
	b = strconv.AppendInt(append(b, `],"head":`...), p.Head, 10)
	b = strconv.AppendInt(append(b, `,"floor":`...), p.Floor, 10)
	b = strconv.AppendBool(append(b, `,"has_more":`...), p.HasMore)
	return append(b, '}')
}

func (o ackOutputBody) appendJSON(b []byte) []byte {
	return append(strconv.AppendInt(append(b, `{"acked":`...), o.Acked, 10), '}')
}

func (in *syncInput) readPlain(_ huma.Context, body []byte) bool { return in.Body.readPlain(body) }
func (in *ackInput) readPlain(_ huma.Context, body []byte) bool  { return in.Body.readPlain(body) }

func (o *mailboxOutput) plain() (int, appender) { return http.StatusOK, o.Body }
func (o *ackOutput) plain() (int, appender)     { return http.StatusOK, o.Body }

// Summary is what waits for a device: counts first, pull later.
type Summary struct {
	Head          int64                 `json:"head"`
	Acked         int64                 `json:"acked"`
	Pending       int64                 `json:"pending"`
	Conversations []ConversationSummary `json:"conversations" doc:"Those with something waiting, latest first, at most 200"`
}

// ConversationSummary is one conversation's part of it.
type ConversationSummary struct {
	ConversationID model.ConversationID `json:"conversation_id"`
	Unread         int64                `json:"unread" doc:"Entries behind the device's position that are not one's own"`
	Head           int64                `json:"head" doc:"Its highest conversation_seq"`
	LastMessage    lastMessage          `json:"last_message"`
}

func (a *API) registerMailbox(h huma.API) {
	tags := []string{"mailbox"}
	route(h, huma.Operation{
		OperationID: "get-mailbox", Method: http.MethodGet, Path: "/v1/mailbox", Tags: tags, Summary: "Read my mailbox", Description: "Reads only; nothing is acked.",
	}, func(ctx context.Context, in *mailboxInput) (*mailboxOutput, error) {
		return mailboxPage(a.deps.Mailboxes.Get(ctx, CallerFrom(ctx).UserID, in.After, in.Limit))
	})
	route(h, huma.Operation{
		OperationID: "sync-mailbox", Method: http.MethodPost, Path: "/v1/mailbox/sync", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Ack a page and pull the next", Description: "Acks everything up to after for the device and answers what is behind it. 409 position_lost, with nothing acked, when the mailbox has another message at after than after_id, or does not reach that far.",
		Middlewares: huma.Middlewares{quick(a, a.sync)},
	}, a.sync)
	route(h, huma.Operation{
		OperationID: "ack-mailbox", Method: http.MethodPost, Path: "/v1/mailbox/ack", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Ack", Description: "Positions only move forward: repeating or going backwards changes nothing and is no error; beyond head is 409 position_lost.",
		Middlewares: huma.Middlewares{quick(a, a.ack)},
	}, a.ack)
	route(h, huma.Operation{
		OperationID: "summarise-mailbox", Method: http.MethodGet, Path: "/v1/mailbox/summary", Tags: tags, Summary: "What waits for a device",
	}, func(ctx context.Context, in *summaryInput) (*summaryOutput, error) {
		s, err := a.deps.Mailboxes.Summary(ctx, deviceKey(ctx, model.DeviceID(in.DeviceID)))
		if err != nil {
			return nil, err
		}
		out := &summaryOutput{Summary{Head: s.Head, Acked: s.Acked, Pending: s.Pending, Conversations: []ConversationSummary{}}}
		for _, c := range s.Conversations {
			out.Body.Conversations = append(out.Body.Conversations, ConversationSummary{ConversationID: c.View.Conversation.ID, Unread: c.Unread, Head: c.View.Head, LastMessage: lastMessage{encoded(c.View.Last)}})
		}
		return out, nil
	})
}

func deviceKey(ctx context.Context, id model.DeviceID) model.DeviceKey {
	return model.DeviceKey{UserID: CallerFrom(ctx).UserID, DeviceID: id}
}

func mailboxPage(p service.Page, err error) (*mailboxOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &mailboxOutput{MailboxPage{Entries: make([]Entry, len(p.Entries)), Head: p.Head, Floor: p.Floor, HasMore: p.More}}
	for i, e := range p.Entries {
		out.Body.Entries[i] = Entry{Seq: e.Seq, Message: encoded(e.Message)}
	}
	return out, nil
}

func (a *API) sync(ctx context.Context, in *syncInput) (*mailboxOutput, error) {
	return mailboxPage(a.deps.Mailboxes.Sync(ctx, deviceKey(ctx, in.Body.DeviceID), CallerFrom(ctx).FamilyID, in.Body.After, in.Body.AfterID, in.Body.Limit))
}

func (a *API) ack(ctx context.Context, in *ackInput) (*ackOutput, error) {
	b := in.Body
	ack := service.Ack{Key: deviceKey(ctx, b.DeviceID), Family: CallerFrom(ctx).FamilyID, UpTo: b.UpTo, UpToID: b.UpToID, MessageIDs: b.MessageIDs}
	if b.UpTo == nil && b.UpToID != 0 {
		return nil, model.Invalid("body.up_to", "up_to_id needs up_to", nil)
	}
	for _, c := range b.Conversations {
		ack.Conversations = append(ack.Conversations, model.LogPosition{ConversationID: c.ConversationID, Acked: c.UpTo})
	}
	acked, err := a.deps.Mailboxes.Ack(ctx, ack)
	if err != nil {
		return nil, err
	}
	out := &ackOutput{}
	out.Body.Acked = acked
	return out, nil
}
