package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
	"ackbox/service"
)

// Message describes model.Message, which encodes itself, once (AppendJSON).
type Message struct {
	MessageID       model.MessageID      `json:"message_id"`
	ConversationID  model.ConversationID `json:"conversation_id"`
	ConversationSeq int64                `json:"conversation_seq" minimum:"1" doc:"Its place in the conversation's one order"`
	SenderID        model.UserID         `json:"sender_id"`
	ClientMsgID     string               `json:"client_msg_id"`
	Type            string               `json:"type" enum:"text,image,file,audio,video,location,emoji,card,custom,recall,notice"`
	Body            model.JSON           `json:"body" doc:"Its shape depends on type"`
	Ext             model.JSON           `json:"ext" doc:"The application's own; the server never reads it"`
	ReplyTo         *model.MessageID     `json:"reply_to"`
	CreatedAt       model.Millis         `json:"created_at"`
	RecalledAt      *model.Millis        `json:"recalled_at"`
	DeletedForMe    bool                 `json:"deleted_for_me,omitempty" doc:"In a mailbox: I have deleted it for me, and its content is gone for me"`
	Mentions        model.Mentions       `json:"mentions,omitempty" doc:"Whom it calls, in a group; left out when nobody"`
	Quote           *Quote               `json:"quote,omitempty" doc:"What it replies to, as that is now; left out when it is no reply"`
}

// Quote describes model.Quote.
type Quote struct {
	MessageID       model.MessageID `json:"message_id"`
	ConversationSeq int64           `json:"conversation_seq" minimum:"1"`
	SenderID        model.UserID    `json:"sender_id"`
	Type            string          `json:"type" enum:"text,image,file,audio,video,location,emoji,card,custom,recall,notice"`
	Text            string          `json:"text" doc:"The first 120 characters of a text, or the name of a file; empty for others"`
	Recalled        bool            `json:"recalled" doc:"Taken back: text is empty"`
}

// encodedMessage is a Message that has been encoded already.
type encodedMessage []byte

// MarshalJSON gives the bytes.
func (m encodedMessage) MarshalJSON() ([]byte, error) { return m, nil }

// Schema is Message's.
func (encodedMessage) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[Message](), true, "Message")
}

// lastMessage is an encodedMessage, or null before the first one.
type lastMessage struct{ encodedMessage }

// Schema is Message's, or null.
func (lastMessage) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{AnyOf: []*huma.Schema{encodedMessage{}.Schema(r), {Type: "null"}}}
}

func encoded(m *model.Message) encodedMessage {
	if m == nil {
		return encodedMessage("null")
	}
	return m.AppendJSON(make([]byte, 0, 512))
}

var _ json.Marshaler = encodedMessage{}

// Send is what a user asks to send.
type Send struct {
	ClientMsgID    string               `json:"client_msg_id,omitempty" maxLength:"64" doc:"The idempotency key: made once per message, before the first try, and repeated on every retry. 1 to 64 visible ASCII characters; may also come as the header Idempotency-Key" example:"0193a7c4-8f6e-7d2a-9f35-0c9d2d1b6a11"`
	ToUserID       model.UserID         `json:"to_user_id,omitempty" doc:"For a direct message; the conversation is made on first use"`
	ConversationID model.ConversationID `json:"conversation_id,omitempty" doc:"Instead of to_user_id"`
	Type           string               `json:"type" enum:"text,image,file,audio,video,location,emoji,card,custom"`
	Body           model.JSON           `json:"body" doc:"text: {\"text\": string of 1 to 10,000 characters, not blank}. image, file, audio, video: {\"url\" or \"file_id\" of an uploaded file, \"name\"?, \"mime_type\"?, \"size\"?, \"width\"?, \"height\"?, \"duration_ms\"?, \"thumbnail_url\"?}. location: {\"latitude\", \"longitude\"}. emoji, card: not empty. custom: anything. body and ext together at most 64 KiB"`
	Ext            model.JSON           `json:"ext,omitempty" doc:"The application's own; the server never reads it"`
	ReplyTo        *model.MessageID     `json:"reply_to,omitempty" nullable:"true" doc:"A message of the same conversation"`
	Mentions       model.Mentions       `json:"mentions,omitempty" doc:"In groups: members, or all"`
}

type (
	sendInput struct {
		IdempotencyKey string `header:"Idempotency-Key" maxLength:"64" doc:"The same as client_msg_id; when both are given they must be equal"`
		Body           Send
	}
	messagePath struct {
		MessageID Param[model.MessageID] `path:"message_id"`
	}
	messageOutput struct {
		Body struct {
			Message encodedMessage `json:"message"`
		}
	}
	sendOutput struct {
		Status int
		Body   sendOutputBody
	}
	sendOutputBody struct {
		Message    encodedMessage `json:"message"`
		MailboxSeq int64          `json:"mailbox_seq" doc:"Its seq in the sender's own mailbox; 0 in a log conversation"`
		Duplicate  bool           `json:"duplicate" doc:"An earlier send of this key made the message"`
	}
)

func (o sendOutputBody) appendJSON(b []byte) []byte {
	b = append(append(b, `{"message":`...), o.Message...)
	b = strconv.AppendInt(append(b, `,"mailbox_seq":`...), o.MailboxSeq, 10)
	b = strconv.AppendBool(append(b, `,"duplicate":`...), o.Duplicate)
	return append(b, '}')
}

func (in *sendInput) readPlain(ctx huma.Context, body []byte) bool {
	in.IdempotencyKey = ctx.Header("Idempotency-Key")
	return len(in.IdempotencyKey) <= 64 && in.Body.readPlain(body)
}

func (o *sendOutput) plain() (int, appender) { return o.Status, o.Body }

func (a *API) registerMessages(h huma.API) {
	route(h, huma.Operation{
		OperationID: "send-message", Method: http.MethodPost, Path: "/v1/messages", Tags: []string{"messages"}, DefaultStatus: http.StatusCreated,
		Summary: "Send a message", Description: "201 once the message is durable. The same key again answers 200 with the first message and duplicate true; with other content 422 idempotency_key_reused. 503 unknown_outcome: repeat with the same key.",
		Responses:   map[string]*huma.Response{"200": {Description: "An earlier send of this key made the message", Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/SendOutputBody"}}}}},
		Middlewares: huma.Middlewares{quick(a, a.send)},
	}, a.send)
	route(h, huma.Operation{
		OperationID: "recall-message", Method: http.MethodPost, Path: "/v1/messages/{message_id}/recall", Tags: []string{"messages"}, DefaultStatus: http.StatusOK,
		Summary: "Take a message back", Description: "By its sender within the recall window (2 minutes by default), by a group's owner or admin at any time. A message of type recall tells everybody, in the order.",
	}, func(ctx context.Context, in *messagePath) (*messageOutput, error) {
		m, err := a.deps.Messages.Recall(ctx, CallerFrom(ctx).UserID, in.MessageID.ID)
		if err != nil {
			return nil, err
		}
		out := &messageOutput{}
		out.Body.Message = encoded(m)
		return out, nil
	})
}

func (a *API) send(ctx context.Context, in *sendInput) (*sendOutput, error) {
	d := service.Draft{
		Sender: CallerFrom(ctx).UserID, ClientMsgID: in.Body.ClientMsgID, To: in.Body.ToUserID, Conversation: in.Body.ConversationID,
		Type: model.MessageType(in.Body.Type), Body: in.Body.Body, Ext: in.Body.Ext, Mentions: in.Body.Mentions,
	}
	if in.IdempotencyKey != "" {
		if d.ClientMsgID != "" && d.ClientMsgID != in.IdempotencyKey {
			return nil, model.NewError(model.CodeKeyMismatch, "the header Idempotency-Key and client_msg_id differ")
		}
		d.ClientMsgID = in.IdempotencyKey
	}
	if in.Body.ReplyTo != nil {
		d.ReplyTo = *in.Body.ReplyTo
	}
	sent, err := a.deps.Messages.Send(ctx, d)
	if err != nil {
		return nil, err
	}
	out := &sendOutput{Status: http.StatusCreated}
	if sent.Duplicate {
		out.Status = http.StatusOK
	}
	out.Body.Message, out.Body.MailboxSeq, out.Body.Duplicate = sent.JSON, sent.MailboxSeq, sent.Duplicate
	return out, nil
}
