package api

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"

	"ackbox/model"
	"ackbox/service"
	"ackbox/ws"
)

// Origins says whether a socket's Origin may connect, for ws.NewHub.
func Origins(allowed []string) func(*http.Request) bool {
	a := &API{origins: originSet(allowed)}
	return a.originAllowed
}

// stream is GET /v1/ws. Everything that can be refused is refused before the upgrade, as
// a plain HTTP answer; after it the socket belongs to the hub and this handler returns.
func (a *API) stream(c *gin.Context) {
	leave, joined := func() {}, false // the gate is left by the session, or here when there is none
	defer func() {
		if !joined {
			leave()
		}
	}()
	opening, err := a.open(c, &leave)
	if err != nil {
		a.turnAway(c, err)
		return
	}
	opening.Opened = leave
	var session *service.Session
	err = a.deps.Sockets.Serve(c.Writer, c.Request, func(conn *ws.Conn) (ws.Session, func()) {
		session = a.deps.Delivery.Join(conn, opening)
		joined = true
		return session, func() { a.deps.Delivery.Leave(session) }
	})
	switch {
	case err == nil:
		a.recheck(session)
	case errors.Is(err, ws.ErrFull):
		a.turnAway(c, full())
	case errors.Is(err, ws.ErrClosing):
		a.turnAway(c, draining())
	case err != nil: // the handshake failed and was answered
		a.log.Debug("socket", "error", err)
	}
}

// recheck closes a session whose login ended between the check of its token and its joining:
// the revocation did not find it.
func (a *API) recheck(session *service.Session) {
	err := a.deps.Auth.Ended(session.Key.UserID, session.Family)
	if err == nil {
		return
	}
	code := service.CloseToken
	if model.CodeOf(err) == model.CodeBanned {
		code = service.CloseBanned
	}
	a.deps.Delivery.Kick(session.Key.UserID, func(s *service.Session) bool { return s == session }, code, "the session has ended")
}

// turnedAway marks a request that was refused for want of room, in its context.
const turnedAway = "turned away"

func (a *API) turnAway(c *gin.Context, err error) {
	c.Set(turnedAway, model.CodeOf(err) == model.CodeDraining || errors.Is(err, service.ErrTooMany))
	a.fail(c, err)
}

func draining() error {
	return &model.Error{Code: model.CodeDraining, Detail: "this node is stopping", RetryAfter: time.Second}
}

func full() error {
	return service.TooMany("this node has as many sockets as it may")
}

// open checks a request for a socket, waits its turn and reads where its device stands. leave
// is set once it has its turn. A ticket is used up only then: who is refused for want of room
// comes again with it.
func (a *API) open(c *gin.Context, leave *func()) (o service.Opening, err error) {
	if a.draining.Load() {
		return o, draining()
	}
	if !a.originAllowed(c.Request) {
		return o, model.NewError(model.CodeOriginNotAllowed, "this origin is not in ACKBOX_ALLOWED_ORIGINS")
	}
	query := c.Request.URL.Query()
	ticket := ticketOf(c.Request, query)
	var caller service.Claims
	if ticket == "" {
		if caller, err = a.bearerOf(c); err != nil {
			return o, err
		}
	}
	if a.deps.Sockets != nil && a.deps.Sockets.Full() {
		return o, full()
	}
	if a.deps.Connects != nil {
		turn, err := a.deps.Connects.Enter(c.Request.Context())
		if err != nil {
			return o, err
		}
		*leave = turn
	}
	if ticket != "" {
		if caller, err = a.deps.Auth.RedeemTicket(c.Request.Context(), ticket); err != nil {
			return o, err
		}
	}
	if err := a.deps.Limits.Take(c.Request.Context(), service.AskUser(service.LimitRequest, caller.UserID)); err != nil {
		return o, err
	}
	key, lastSeq, lastID, err := position(query)
	if err != nil {
		return o, err
	}
	if !websocket.IsWebSocketUpgrade(c.Request) {
		if c.Request.ProtoMajor == 1 { // HTTP/2 has no such header: its client would take the answer for broken
			c.Header("Upgrade", "websocket")
		}
		return o, model.Invalid("header.Upgrade", "this path speaks WebSocket", c.GetHeader("Upgrade"))
	}
	key.UserID = caller.UserID
	o, err = a.deps.Mailboxes.Open(c.Request.Context(), key, caller.FamilyID, lastSeq, lastID)
	o.ExpiresAt = caller.ExpiresAt
	return o, err
}

// ticketProtocol marks a ticket among the subprotocols, for browsers that keep it out
// of the address.
const ticketProtocol = "ticket."

// ticketOf is the ticket of a request, "" if it has none.
func ticketOf(r *http.Request, query url.Values) string {
	for _, protocol := range websocket.Subprotocols(r) {
		if value, ok := strings.CutPrefix(protocol, ticketProtocol); ok {
			return value
		}
	}
	return query.Get("ticket")
}

// position reads device_id, last_seq and last_id.
func position(query url.Values) (key model.DeviceKey, lastSeq *int64, lastID model.MessageID, err error) {
	device := query.Get("device_id")
	if !model.ValidDeviceID(device) {
		return key, nil, 0, model.Invalid("query.device_id", "want 1 to 64 of A-Z a-z 0-9 . _ -", device)
	}
	key.DeviceID = model.DeviceID(device)
	if text := query.Get("last_seq"); query.Has("last_seq") {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return key, nil, 0, model.Invalid("query.last_seq", "want an integer of 0 or more", text)
		}
		lastSeq = &n
	}
	if text := query.Get("last_id"); query.Has("last_id") {
		if lastID, err = model.ParseID[model.MessageID](text); err != nil {
			return key, nil, 0, model.Invalid("query.last_id", "want an id: a string of decimal digits", text)
		}
		if lastSeq == nil {
			return key, nil, 0, model.Invalid("query.last_seq", "last_id needs last_seq", nil)
		}
	}
	return key, lastSeq, lastID, nil
}
