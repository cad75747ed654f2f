package api

import (
	"cmp"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/service"
)

const (
	streamPath        = "/v1/ws"
	streamDescription = "Push only: after the upgrade the client sends nothing but the protocol's own ping, pong and close frames. " +
		"Each text frame is one JSON object, type first. A client ignores frame types and fields that it does not know."
)

// frames are all that is pushed. A test compares them with the structs of package
// service.
var frames = []struct {
	kind string
	of   reflect.Type
	when string
}{
	{"hello", reflect.TypeFor[service.Hello](), "The first frame: who is connected, and where the device's mailbox stands. reset says that the given position does not exist here; nothing was acknowledged."},
	{"message", reflect.TypeFor[service.MessageFrame](), "A mailbox entry; acknowledge it by seq. Without seq it is a message of a log conversation (a large group); acknowledge it by its conversation_seq. attempt counts the pushes of it."},
	{"behind", reflect.TypeFor[service.Behind](), "There is more than the server will push: pull with POST /v1/mailbox/sync, or with conversation_id from the conversation's messages, until has_more is false. Pushes resume once the device has acknowledged up to head."},
	{"synced", reflect.TypeFor[service.Synced](), "Everything up to up_to has been pushed; live from now on."},
	{"receipt", reflect.TypeFor[service.Receipt](), "A member has received or read up to that conversation_seq: the sender's last confirmation."},
	{"conversation", reflect.TypeFor[service.ConversationEvent](), "Something about a conversation has changed: fetch it."},
	{"typing", reflect.TypeFor[service.Typing](), "Somebody is writing. It is kept nowhere and holds for a few seconds."},
	{"presence", reflect.TypeFor[service.PresenceFrame](), "Somebody in a direct conversation or a mailbox group with the user has come online or has gone. It may be lost: GET /v1/users/presence."},
	{"deleted", reflect.TypeFor[service.DeletedFrame](), "I have deleted a message for me, on one of my devices: forget its content."},
	{"ping", reflect.TypeFor[service.Ping](), "Every heartbeat_ms. A head above what the device holds means that it missed the tail: pull."},
	{"bye", reflect.TypeFor[service.Bye](), "Before an orderly close: wait that long before connecting again."},
}

// closeCode is why a socket was closed.
type closeCode struct {
	Code    int    `json:"code"`
	Meaning string `json:"meaning"`
}

var closeCodes = []closeCode{
	{1000, "normal"},
	{1001, "the server stops: reconnect with jitter"},
	{1003, "the client sent data"},
	{1012, "the server restarts: reconnect with jitter"},
	{1013, "overloaded: try later"},
	{4001, "the token expired or was revoked: refresh it or log in, then reconnect"},
	{4002, "the same device connected again"},
	{4003, "the account is banned: do not reconnect"},
	{4008, "entries stayed unacknowledged after the last attempt: reconnect and sync"},
	{4009, "too slow to read: reconnect and sync"},
	{4010, "positions may have changed (the database was restored or failed over): reconnect with last_seq and last_id"},
}

// parameter is a query parameter of the stream.
type parameter struct {
	Name, What string
	Required   bool
	schema     map[string]any
}

var streamQuery = []parameter{
	{"device_id", "The client's own stable name for the device.", true, map[string]any{"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}},
	{"last_seq", "The highest mailbox seq that the device holds: the server acknowledges up to it and sends what is after it. Without it the server takes the position it has stored.", false, map[string]any{"type": "integer", "minimum": 0}},
	{"last_id", "The message_id that the device holds at last_seq; a mismatch is told in hello as reset.", false, map[string]any{"type": "string", "pattern": "^[1-9][0-9]{0,18}$"}},
	{"ticket", "A ticket of POST /v1/auth/ws-ticket, instead of the header Authorization. It may also come as the subprotocol ticket.<value> beside ackbox.v1.", false, map[string]any{"type": "string"}},
}

// registerFrames puts the frames, and Frame as their union, into a registry.
func registerFrames(r huma.Registry) {
	union := &huma.Schema{Description: "Any frame that is pushed", Discriminator: &huma.Discriminator{PropertyName: "type", Mapping: map[string]string{}}}
	for _, f := range frames {
		s := r.Schema(f.of, true, "")
		union.OneOf = append(union.OneOf, s)
		union.Discriminator.Mapping[f.kind] = s.Ref
	}
	r.Map()["Frame"] = union
}

// streamOperation is the stream as far as OpenAPI can tell: the request for it.
func streamOperation() *huma.Operation {
	op := &huma.Operation{
		OperationID: "open-stream", Method: http.MethodGet, Path: streamPath, Tags: []string{"stream"}, Security: []map[string][]string{{"bearer": {}}, {}},
		Summary: "Open the WebSocket that pushes", Description: streamDescription + " The frames are in /asyncapi.json. Without the header Authorization a ticket is needed.",
		Responses: map[string]*huma.Response{"101": {Description: "Switching protocols"}, "default": {Ref: "#/components/responses/problem"}},
	}
	for _, p := range streamQuery {
		s := &huma.Schema{}
		s.Type, _ = p.schema["type"].(string)
		s.Pattern, _ = p.schema["pattern"].(string)
		op.Parameters = append(op.Parameters, &huma.Param{Name: p.Name, In: "query", Description: p.What, Required: p.Required, Schema: s})
	}
	return op
}

// asyncAPI is the AsyncAPI 3 description of the stream.
func asyncAPI(version string) map[string]any {
	registry := newRegistry()
	messages, channel, pushed := map[string]any{}, map[string]any{}, []any{}
	for _, f := range frames {
		messages[f.kind] = map[string]any{
			"name": f.kind, "title": f.kind, "summary": f.when, "contentType": "application/json",
			"payload": map[string]any{"$ref": registry.Schema(f.of, true, "").Ref},
		}
		channel[f.kind] = map[string]any{"$ref": "#/components/messages/" + f.kind}
		pushed = append(pushed, map[string]any{"$ref": "#/channels/stream/messages/" + f.kind})
	}
	query, required := map[string]any{}, []string{}
	for _, p := range streamQuery {
		schema := maps.Clone(p.schema)
		schema["description"] = p.What
		query[p.Name] = schema
		if p.Required {
			required = append(required, p.Name)
		}
	}
	return map[string]any{
		"asyncapi": "3.0.0",
		"info": map[string]any{
			"title": "Ackbox push", "version": version, "description": "What the server pushes over its WebSocket. Everything else is REST: see /openapi.json.",
			"license": map[string]any{"name": "Apache-2.0"},
		},
		"defaultContentType": "application/json",
		"channels": map[string]any{"stream": map[string]any{
			"address": streamPath, "description": streamDescription + " Close codes are listed in x-close-codes.", "messages": channel,
			"bindings": map[string]any{"ws": map[string]any{
				"method": "GET", "bindingVersion": "0.1.0",
				"query": map[string]any{"type": "object", "properties": query, "required": required, "additionalProperties": false},
				"headers": map[string]any{"type": "object", "properties": map[string]any{
					"Authorization": map[string]any{"type": "string", "description": "Bearer <access token>"},
				}},
			}},
			"x-close-codes": closeCodes,
		}},
		"operations": map[string]any{"push": map[string]any{
			"action": "send", "summary": "The server pushes", "channel": map[string]any{"$ref": "#/channels/stream"}, "messages": pushed,
			"security": []any{map[string]any{"$ref": "#/components/securitySchemes/bearer"}, map[string]any{"$ref": "#/components/securitySchemes/ticket"}},
		}},
		"components": map[string]any{
			"messages": messages,
			"schemas":  registry.Map(),
			"securitySchemes": map[string]any{
				"bearer": map[string]any{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
				"ticket": map[string]any{"type": "httpApiKey", "in": "query", "name": "ticket"},
			},
		},
	}
}

// framePage is what the page of the frames shows.
type framePage struct {
	Type, When string
	Fields     []parameter
}

func framePages() []framePage {
	registry := newRegistry()
	pages := make([]framePage, 0, len(frames))
	for _, f := range frames {
		s := registry.Schema(f.of, false, "")
		page := framePage{Type: f.kind, When: f.when}
		for name, field := range s.Properties {
			page.Fields = append(page.Fields, parameter{Name: name, What: typeOf(field), Required: slices.Contains(s.Required, name)})
		}
		slices.SortFunc(page.Fields, func(x, y parameter) int {
			return cmp.Or(typeFirst(x)-typeFirst(y), cmp.Compare(x.Name, y.Name))
		})
		pages = append(pages, page)
	}
	return pages
}

// typeFirst is 0 for the field that says what a frame is, as on the wire.
func typeFirst(p parameter) int {
	if p.Name == "type" {
		return 0
	}
	return 1
}

func typeOf(s *huma.Schema) string {
	switch {
	case s.Ref != "":
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	case len(s.Enum) > 0:
		values := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			values[i], _ = v.(string)
		}
		return strings.Join(values, " or ")
	case s.Format == "date-time":
		return "time (RFC 3339, UTC)"
	case s.PatternDescription != "":
		return s.PatternDescription
	}
	return s.Type
}
