package client

import (
	"context"
	"net/http"
	"net/url"
)

// Admin speaks to the operators' API at one address, with the access token of an account of the role admin.
type Admin struct {
	client *Client
	token  string
}

// Admin is the operators' API at this address.
func (c *Client) Admin(token string) *Admin { return &Admin{c, token} }

// AdminNode is a node of the deployment.
type AdminNode struct {
	Node    string `json:"node"`
	Address string `json:"address"`
	Version string `json:"version"`
	State   string `json:"state"` // up, draining or down
}

// AdminSocket is a user's socket, at a node.
type AdminSocket struct {
	Node     string `json:"node"`
	DeviceID string `json:"device_id"`
}

// Nodes are all nodes that are known.
func (a *Admin) Nodes(ctx context.Context) ([]AdminNode, error) {
	var out struct {
		Nodes []AdminNode `json:"nodes"`
	}
	err := a.call(ctx, http.MethodGet, "/v1/admin/nodes", nil, &out)
	return out.Nodes, err
}

// CreateUser makes an account.
func (a *Admin) CreateUser(ctx context.Context, who Credentials) error {
	return a.call(ctx, http.MethodPost, "/v1/admin/users", who, &struct{}{})
}

// Ban shuts an account out.
func (a *Admin) Ban(ctx context.Context, user UserID, reason string) error {
	return a.call(ctx, http.MethodPut, "/v1/admin/users/"+url.PathEscape(string(user))+"/ban", map[string]string{"reason": reason}, nil)
}

// Sockets are a user's, at most 200.
func (a *Admin) Sockets(ctx context.Context, user UserID) ([]AdminSocket, error) {
	var out struct {
		Sessions []AdminSocket `json:"sessions"`
	}
	err := a.call(ctx, http.MethodGet, "/v1/admin/sessions?limit=200&user_id="+url.QueryEscape(string(user)), nil, &out)
	return out.Sessions, err
}

func (a *Admin) call(ctx context.Context, method, path string, body, out any) error {
	_, err := a.client.call(ctx, Request{Method: method, Path: path, Token: a.token, Body: body}, out)
	return err
}
