package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// Mailbox reads the entries after a seq; limit 0 leaves it to the server.
func (s *Session) Mailbox(ctx context.Context, after int64, limit int) (Page, error) {
	query := url.Values{"after": {strconv.FormatInt(after, 10)}}
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var page Page
	_, err := s.Call(ctx, http.MethodGet, "/v1/mailbox?"+query.Encode(), nil, &page)
	return page, err
}

// Summary reads the counts of a device.
func (s *Session) Summary(ctx context.Context, device string) (Summary, error) {
	var summary Summary
	_, err := s.Call(ctx, http.MethodGet, "/v1/mailbox/summary?device_id="+url.QueryEscape(device), nil, &summary)
	return summary, err
}

// Pull is the body of a sync.
type Pull struct {
	DeviceID string    `json:"device_id"`
	After    int64     `json:"after"`
	AfterID  MessageID `json:"after_id,omitempty"`
	Limit    int       `json:"limit,omitempty"`
}

// Sync pulls what is after the device's position and acks everything up to it.
func (s *Session) Sync(ctx context.Context, pull Pull) (Page, error) {
	var page Page
	_, err := s.Call(ctx, http.MethodPost, "/v1/mailbox/sync", pull, &page)
	return page, err
}

// Ack is the body of an ack; UpTo nil leaves the cumulative part out.
type Ack struct {
	DeviceID   string      `json:"device_id"`
	UpTo       *int64      `json:"up_to,omitempty"`
	UpToID     MessageID   `json:"up_to_id,omitempty"`
	MessageIDs []MessageID `json:"message_ids,omitempty"`

	Conversations []LogAck `json:"conversations,omitempty"`
}

// LogAck acks a log conversation by its conversation_seq.
type LogAck struct {
	ConversationID ConversationID `json:"conversation_id"`
	UpTo           int64          `json:"up_to"`
}

// Ack acks and answers the device's cumulative position.
func (s *Session) Ack(ctx context.Context, ack Ack) (int64, error) {
	var answer struct {
		Acked int64 `json:"acked"`
	}
	_, err := s.Call(ctx, http.MethodPost, "/v1/mailbox/ack", ack, &answer)
	return answer.Acked, err
}

// AckUpTo acks every entry up to seq.
func (s *Session) AckUpTo(ctx context.Context, device string, seq int64) (int64, error) {
	return s.Ack(ctx, Ack{DeviceID: device, UpTo: &seq})
}

// AckLog acks a log conversation.
func (s *Session) AckLog(ctx context.Context, device string, id ConversationID, upTo int64) error {
	_, err := s.Ack(ctx, Ack{DeviceID: device, Conversations: []LogAck{{id, upTo}}})
	return err
}
