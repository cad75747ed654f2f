package client

import (
	"context"
	"net/http"
)

// Draft is a message to send: to a user (the direct conversation) or into a conversation.
type Draft struct {
	ClientMsgID    string         `json:"client_msg_id,omitempty"`
	ToUserID       UserID         `json:"to_user_id,omitempty"`
	ConversationID ConversationID `json:"conversation_id,omitempty"`
	Type           string         `json:"type"`
	Body           map[string]any `json:"body"`
	Ext            map[string]any `json:"ext,omitempty"`
	ReplyTo        MessageID      `json:"reply_to,omitempty"`
	Mentions       Mentions       `json:"mentions,omitempty"`

	// HeaderKey goes into the Idempotency-Key header when it isn't empty.
	HeaderKey string `json:"-"`
}

// Text is a draft of a text message to a user.
func Text(to UserID, key, text string) Draft {
	return Draft{ClientMsgID: key, ToUserID: to, Type: "text", Body: map[string]any{"text": text}}
}

// TextIn is a draft of a text message into a conversation.
func TextIn(id ConversationID, key, text string) Draft {
	return Draft{ClientMsgID: key, ConversationID: id, Type: "text", Body: map[string]any{"text": text}}
}

// Sent is the answer to a send; Status is 201 for a new message and 200 for a repeated key.
type Sent struct {
	Status     int     `json:"-"`
	Message    Message `json:"message"`
	MailboxSeq int64   `json:"mailbox_seq"`
	Duplicate  bool    `json:"duplicate"`
}

// Send sends once, without a retry of its own.
func (s *Session) Send(ctx context.Context, d Draft) (Sent, error) {
	request := Request{Method: http.MethodPost, Path: "/v1/messages", Token: s.AccessToken, Body: d}
	if d.HeaderKey != "" {
		request.Header = http.Header{"Idempotency-Key": {d.HeaderKey}}
	}
	var sent Sent
	answer, err := s.client.call(ctx, request, &sent)
	sent.Status = answer.Status
	return sent, err
}

// FreshIDs asks the id service for count ids.
func (s *Session) FreshIDs(ctx context.Context, count string) ([]string, error) {
	var answer struct {
		IDs []string `json:"ids"`
	}
	_, err := s.Call(ctx, http.MethodGet, "/v1/ids?count="+count, nil, &answer)
	return answer.IDs, err
}
