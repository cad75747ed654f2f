package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Conversation is a conversation object, as one of its members sees it.
type Conversation struct {
	ConversationID ConversationID `json:"conversation_id"`
	Kind           string         `json:"kind"`
	Name           string         `json:"name"`
	AvatarURL      string         `json:"avatar_url"`
	PeerID         UserID         `json:"peer_id"` // direct conversations only
	History        string         `json:"history"` // joined or all
	Role           string         `json:"role"`    // mine in the group: owner, admin or member; groups only
	MemberCount    int64          `json:"member_count"`
	Head           int64          `json:"head"`
	Delivery       string         `json:"delivery"`
	LastMessage    *Message       `json:"last_message"`
	Unread         int64          `json:"unread"`
	UnreadMentions int64          `json:"unread_mentions"`
	ReadSeq        int64          `json:"read_seq"`
	JoinedSeq      int64          `json:"joined_seq"`
	Receipts       bool           `json:"receipts"`
	Muted          bool           `json:"muted"`
	Pinned         bool           `json:"pinned"`
	UpdatedAt      time.Time      `json:"updated_at"`
}

// ConversationPage is a stretch of a list of conversations, newest activity first.
type ConversationPage struct {
	Conversations []Conversation `json:"conversations"`
	NextCursor    string         `json:"next_cursor"`
	HasMore       bool           `json:"has_more"`
}

// History is a stretch of a conversation.
type History struct {
	Messages []Message `json:"messages"`
	Head     int64     `json:"head"`
	HasMore  bool      `json:"has_more"`
}

// Position is how far a member has received and read.
type Position struct {
	UserID       UserID `json:"user_id"`
	DeliveredSeq int64  `json:"delivered_seq"`
	ReadSeq      int64  `json:"read_seq"`
}

// Device is one of the own devices.
type Device struct {
	DeviceID   string    `json:"device_id"`
	Acked      int64     `json:"acked"`
	Pending    int64     `json:"pending"`
	Online     bool      `json:"online"`
	Current    bool      `json:"current"`
	LastSeenAt time.Time `json:"last_seen_at"`
	CreatedAt  time.Time `json:"created_at"`
}

func (id ConversationID) path() string { return "/v1/conversations/" + url.PathEscape(string(id)) }

// Conversations lists the own conversations after a cursor; limit 0 leaves it to the server.
func (s *Session) Conversations(ctx context.Context, cursor string, limit int) (ConversationPage, error) {
	var page ConversationPage
	_, err := s.Call(ctx, http.MethodGet, "/v1/conversations?"+paging(cursor, limit), nil, &page)
	return page, err
}

func paging(cursor string, limit int) string {
	query := url.Values{}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	return query.Encode()
}

// Conversation reads one conversation.
func (s *Session) Conversation(ctx context.Context, id ConversationID) (Conversation, error) {
	var c Conversation
	_, err := s.Call(ctx, http.MethodGet, id.path(), nil, &c)
	return c, err
}

// History reads messages; query has after_seq, before_seq and limit, each optional.
func (s *Session) History(ctx context.Context, id ConversationID, query url.Values) (History, error) {
	var page History
	_, err := s.Call(ctx, http.MethodGet, id.path()+"/messages?"+query.Encode(), nil, &page)
	return page, err
}

// After reads the messages after a conversation_seq, at most 200.
func (s *Session) After(ctx context.Context, id ConversationID, seq int64) (History, error) {
	return s.History(ctx, id, url.Values{"after_seq": {strconv.FormatInt(seq, 10)}, "limit": {"200"}})
}

// Receipts reads the members' positions.
func (s *Session) Receipts(ctx context.Context, id ConversationID) ([]Position, error) {
	var answer struct {
		Members []Position `json:"members"`
	}
	_, err := s.Call(ctx, http.MethodGet, id.path()+"/receipts", nil, &answer)
	return answer.Members, err
}

// ReceiptPage is a stretch of the members' positions.
type ReceiptPage struct {
	Members    []Position `json:"members"`
	NextCursor string     `json:"next_cursor"`
	HasMore    bool       `json:"has_more"`
}

// MessageReceipts is who has received and read a message.
type MessageReceipts struct {
	ReceiptPage
	DeliveredCount int64 `json:"delivered_count"`
	ReadCount      int64 `json:"read_count"`
	MemberCount    int64 `json:"member_count"`
}

// ReceiptPage reads the members' positions after a cursor; limit 0 leaves it to the server.
func (s *Session) ReceiptPage(ctx context.Context, id ConversationID, cursor string, limit int) (ReceiptPage, error) {
	var page ReceiptPage
	_, err := s.Call(ctx, http.MethodGet, id.path()+"/receipts?"+paging(cursor, limit), nil, &page)
	return page, err
}

// MessageReceipts reads a message's receipts: those of a state (read, delivered or pending), or with an empty one of all.
func (s *Session) MessageReceipts(ctx context.Context, id MessageID, state, cursor string, limit int) (MessageReceipts, error) {
	query := paging(cursor, limit)
	if state != "" {
		query += "&state=" + url.QueryEscape(state)
	}
	var receipts MessageReceipts
	_, err := s.Call(ctx, http.MethodGet, "/v1/messages/"+url.PathEscape(string(id))+"/receipts?"+query, nil, &receipts)
	return receipts, err
}

// Read moves the own read position and answers where it is.
func (s *Session) Read(ctx context.Context, id ConversationID, upTo int64) (int64, error) {
	var answer struct {
		ReadSeq int64 `json:"read_seq"`
	}
	_, err := s.Call(ctx, http.MethodPost, id.path()+"/read", map[string]int64{"up_to": upTo}, &answer)
	return answer.ReadSeq, err
}

// Recall takes a message back and answers what is left of it.
func (s *Session) Recall(ctx context.Context, id MessageID) (Message, error) {
	var answer struct {
		Message Message `json:"message"`
	}
	_, err := s.Call(ctx, http.MethodPost, "/v1/messages/"+url.PathEscape(string(id))+"/recall", nil, &answer)
	return answer.Message, err
}

// Deletion is a message that was deleted for oneself.
type Deletion struct {
	ID              string         `json:"id"`
	ConversationID  ConversationID `json:"conversation_id"`
	MessageID       MessageID      `json:"message_id"`
	ConversationSeq int64          `json:"conversation_seq"`
}

// DeletionPage is a stretch of what was deleted.
type DeletionPage struct {
	Deleted []Deletion `json:"deleted"`
	HasMore bool       `json:"has_more"`
}

// DeleteForMe deletes a message for oneself.
func (s *Session) DeleteForMe(ctx context.Context, id MessageID) error {
	_, err := s.Call(ctx, http.MethodDelete, "/v1/messages/"+url.PathEscape(string(id)), nil, nil)
	return err
}

// Deleted reads what was deleted after an id (empty: from the first); limit 0 leaves it to the server.
func (s *Session) Deleted(ctx context.Context, after string, limit int) (DeletionPage, error) {
	query := url.Values{}
	if after != "" {
		query.Set("after", after)
	}
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var page DeletionPage
	_, err := s.Call(ctx, http.MethodGet, "/v1/messages/deleted?"+query.Encode(), nil, &page)
	return page, err
}

// Devices lists the own devices.
func (s *Session) Devices(ctx context.Context) ([]Device, error) {
	var answer struct {
		Devices []Device `json:"devices"`
	}
	_, err := s.Call(ctx, http.MethodGet, "/v1/devices", nil, &answer)
	return answer.Devices, err
}

// Forget forgets a device.
func (s *Session) Forget(ctx context.Context, device string) error {
	_, err := s.Call(ctx, http.MethodDelete, "/v1/devices/"+url.PathEscape(device), nil, nil)
	return err
}
