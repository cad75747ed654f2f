package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Member is one of a group.
type Member struct {
	UserID   UserID    `json:"user_id"`
	Role     string    `json:"role"`
	JoinedAt time.Time `json:"joined_at"`
}

// MemberPage is a stretch of a group's members.
type MemberPage struct {
	Members    []Member `json:"members"`
	NextCursor string   `json:"next_cursor"`
	HasMore    bool     `json:"has_more"`
}

func (id ConversationID) group() string { return "/v1/groups/" + url.PathEscape(string(id)) }

func (id ConversationID) member(user UserID) string {
	return id.group() + "/members/" + url.PathEscape(string(user))
}

// CreateGroup makes a group of oneself and others; the answer's status comes with it.
func (s *Session) CreateGroup(ctx context.Context, name string, members ...UserID) (Conversation, int, error) {
	return s.CreateGroupOnce(ctx, "", name, members...)
}

// CreateGroupOnce is CreateGroup with an idempotency key: repeated, it answers the first group.
func (s *Session) CreateGroupOnce(ctx context.Context, key, name string, members ...UserID) (Conversation, int, error) {
	if members == nil {
		members = []UserID{}
	}
	r := Request{Method: http.MethodPost, Path: "/v1/groups", Token: s.AccessToken, Body: map[string]any{"name": name, "member_ids": members}}
	if key != "" {
		r.Header = http.Header{"Idempotency-Key": {key}}
	}
	var c Conversation
	answer, err := s.client.call(ctx, r, &c)
	return c, answer.Status, err
}

// Group reads a group.
func (s *Session) Group(ctx context.Context, id ConversationID) (Conversation, error) {
	var c Conversation
	_, err := s.Call(ctx, http.MethodGet, id.group(), nil, &c)
	return c, err
}

// ChangeGroup changes some of a group's fields.
func (s *Session) ChangeGroup(ctx context.Context, id ConversationID, fields map[string]any) (Conversation, error) {
	var c Conversation
	_, err := s.Call(ctx, http.MethodPatch, id.group(), fields, &c)
	return c, err
}

// Dissolve ends a group, and answers it as it was.
func (s *Session) Dissolve(ctx context.Context, id ConversationID) (Conversation, error) {
	var c Conversation
	_, err := s.Call(ctx, http.MethodDelete, id.group(), nil, &c)
	return c, err
}

// Members lists a group's members after a cursor; limit 0 leaves it to the server.
func (s *Session) Members(ctx context.Context, id ConversationID, cursor string, limit int) (MemberPage, error) {
	var page MemberPage
	_, err := s.Call(ctx, http.MethodGet, id.group()+"/members?"+paging(cursor, limit), nil, &page)
	return page, err
}

// AddMembers brings users in.
func (s *Session) AddMembers(ctx context.Context, id ConversationID, members ...UserID) error {
	_, err := s.Call(ctx, http.MethodPost, id.group()+"/members", map[string]any{"member_ids": members}, nil)
	return err
}

// RemoveMember takes somebody out, or leaves.
func (s *Session) RemoveMember(ctx context.Context, id ConversationID, user UserID) error {
	_, err := s.Call(ctx, http.MethodDelete, id.member(user), nil, nil)
	return err
}

// SetRole gives a role.
func (s *Session) SetRole(ctx context.Context, id ConversationID, user UserID, role string) error {
	_, err := s.Call(ctx, http.MethodPut, id.member(user)+"/role", map[string]string{"role": role}, nil)
	return err
}
