package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Session is a signed-in account at one node. Its tokens don't refresh by themselves.
type Session struct {
	User         User      `json:"user"`
	AccessToken  string    `json:"access_token"`
	RefreshToken string    `json:"refresh_token"`
	ExpiresAt    time.Time `json:"expires_at"`

	client *Client
}

// Ticket lets a browser open one WebSocket.
type Ticket struct {
	Ticket    string    `json:"ticket"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Credentials are what register and login take.
type Credentials struct {
	Username    string `json:"username"`
	Password    string `json:"password"`
	DisplayName string `json:"display_name,omitempty"`
}

// Register makes an account and signs it in.
func (c *Client) Register(ctx context.Context, who Credentials) (*Session, error) {
	return c.signIn(ctx, "/v1/auth/register", who)
}

// Login signs in.
func (c *Client) Login(ctx context.Context, who Credentials) (*Session, error) {
	who.DisplayName = ""
	return c.signIn(ctx, "/v1/auth/login", who)
}

// Refresh trades a refresh token for new tokens.
func (c *Client) Refresh(ctx context.Context, refreshToken string) (*Session, error) {
	return c.signIn(ctx, "/v1/auth/refresh", map[string]string{"refresh_token": refreshToken})
}

func (c *Client) signIn(ctx context.Context, path string, body any) (*Session, error) {
	s := &Session{client: c}
	if _, err := c.call(ctx, Request{Method: http.MethodPost, Path: path, Body: body}, s); err != nil {
		return nil, err
	}
	return s, nil
}

// Client is the node this session talks to.
func (s *Session) Client() *Client { return s.client }

// At is the same session, talking to another node.
func (s *Session) At(c *Client) *Session {
	moved := *s
	moved.client = c
	return &moved
}

// Call sends an authenticated request; out as for the typed calls.
func (s *Session) Call(ctx context.Context, method, path string, body, out any) (Answer, error) {
	return s.client.call(ctx, Request{Method: method, Path: path, Token: s.AccessToken, Body: body}, out)
}

// Logout ends the session.
func (s *Session) Logout(ctx context.Context) (Answer, error) {
	return s.Call(ctx, http.MethodPost, "/v1/auth/logout", map[string]string{"refresh_token": s.RefreshToken}, nil)
}

// ChangePassword replaces the password; all other sessions of the account end.
func (s *Session) ChangePassword(ctx context.Context, password, chosen string) (Answer, error) {
	return s.Call(ctx, http.MethodPost, "/v1/auth/password", map[string]string{"password": password, "new_password": chosen}, nil)
}

// Ticket asks for a WebSocket ticket.
func (s *Session) Ticket(ctx context.Context) (Ticket, error) {
	var ticket Ticket
	_, err := s.Call(ctx, http.MethodPost, "/v1/auth/ws-ticket", nil, &ticket)
	return ticket, err
}

// Me reads the own user object.
func (s *Session) Me(ctx context.Context) (User, error) {
	var user User
	_, err := s.Call(ctx, http.MethodGet, "/v1/users/me", nil, &user)
	return user, err
}

// PatchMe changes the own user object.
func (s *Session) PatchMe(ctx context.Context, fields map[string]any) (User, error) {
	var user User
	_, err := s.Call(ctx, http.MethodPatch, "/v1/users/me", fields, &user)
	return user, err
}

// Lookup reads somebody's user object.
func (s *Session) Lookup(ctx context.Context, id UserID) (User, error) {
	var user User
	_, err := s.Call(ctx, http.MethodGet, "/v1/users/"+url.PathEscape(string(id)), nil, &user)
	return user, err
}

// Search finds users by an exact user name or a prefix of it.
func (s *Session) Search(ctx context.Context, username string) ([]User, error) {
	var found struct {
		Users []User `json:"users"`
	}
	_, err := s.Call(ctx, http.MethodGet, "/v1/users?username="+url.QueryEscape(username), nil, &found)
	return found.Users, err
}

// Block refuses somebody's direct messages.
func (s *Session) Block(ctx context.Context, id UserID) error {
	_, err := s.Call(ctx, http.MethodPut, "/v1/users/"+url.PathEscape(string(id))+"/block", nil, nil)
	return err
}

// Unblock takes Block back.
func (s *Session) Unblock(ctx context.Context, id UserID) error {
	_, err := s.Call(ctx, http.MethodDelete, "/v1/users/"+url.PathEscape(string(id))+"/block", nil, nil)
	return err
}

// Presence says whether a user is online. LastSeenAt is nil of who never was.
type Presence struct {
	UserID     UserID     `json:"user_id"`
	Online     bool       `json:"online"`
	LastSeenAt *time.Time `json:"last_seen_at"`
}

// Presence asks who of up to 100 users is online; those whom one may not see are left out.
func (s *Session) Presence(ctx context.Context, ids ...UserID) ([]Presence, error) {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = string(id)
	}
	var answer struct {
		Presence []Presence `json:"presence"`
	}
	_, err := s.Call(ctx, http.MethodGet, "/v1/users/presence?user_ids="+url.QueryEscape(strings.Join(list, ",")), nil, &answer)
	return answer.Presence, err
}
