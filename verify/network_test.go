package verify

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gorilla/websocket"
)

// network is a bad network before a node: it loses answers after the node has acted, delivers requests twice, and loses
// and doubles frames. With lies, it is worse than a network: it answers one send that no node has seen.
type network struct {
	t     *testing.T
	node  string // http://host:port
	lies  bool
	mute  bool // it passes no message frame on
	shut  bool // it refuses every send
	lied  atomic.Bool
	lost  atomic.Int64 // answers and frames
	twice atomic.Int64
	web   *http.Client
	lines sync.WaitGroup
}

const badShare = 0.08

func newNetwork(t *testing.T, node string, lies bool) (*network, string) {
	t.Helper()
	n := &network{t: t, node: node, lies: lies, web: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	server := httptest.NewServer(n)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		n.lines.Wait()
		n.web.CloseIdleConnections()
	})
	return n, server.URL
}

func (n *network) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if websocket.IsWebSocketUpgrade(r) {
		n.lines.Add(1)
		defer n.lines.Done()
		n.line(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	send := r.Method == http.MethodPost && r.URL.Path == "/v1/messages"
	if send && n.shut {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"status":403,"code":"blocked"}`) //nolint:errcheck // as below
		return
	}
	if send && n.lies && n.lied.CompareAndSwap(false, true) {
		n.lie(w, body)
		return
	}
	status, header, answer, err := n.pass(r, body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if bad := send || strings.HasSuffix(r.URL.Path, "/ack") || strings.HasSuffix(r.URL.Path, "/sync"); bad && chance(badShare) {
		if chance(0.5) {
			n.lost.Add(1)
			panic(http.ErrAbortHandler) // the node has acted, nobody hears of it
		}
		n.twice.Add(1)
		if status, header, answer, err = n.pass(r, body); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	w.Write(answer) //nolint:errcheck // a client that is gone has lost its answer
}

// pass forwards a request.
func (n *network) pass(r *http.Request, body []byte) (int, http.Header, []byte, error) {
	request, err := http.NewRequestWithContext(r.Context(), r.Method, n.node+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	request.Header = r.Header.Clone()
	answer, err := n.web.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	return answer.StatusCode, answer.Header, data, err
}

// lie accepts a message and forgets it.
func (n *network) lie(w http.ResponseWriter, body []byte) {
	var d map[string]any
	if err := json.Unmarshal(body, &d); err != nil {
		n.t.Errorf("a send is no JSON: %v", err)
	}
	conversation, sender := "1", "1"
	if id, ok := d["conversation_id"].(string); ok {
		conversation = id
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusCreated)
	//nolint:errcheck // as above
	json.NewEncoder(w).Encode(map[string]any{"mailbox_seq": 1_000_000, "duplicate": false, "message": map[string]any{
		"message_id": "1", "conversation_id": conversation, "conversation_seq": 1_000_000, "sender_id": sender,
		"client_msg_id": d["client_msg_id"], "type": d["type"], "body": d["body"],
	}})
}

// line forwards a socket's frames, but for some.
func (n *network) line(w http.ResponseWriter, r *http.Request) {
	header := http.Header{"Authorization": r.Header["Authorization"]}
	up, resp, err := websocket.DefaultDialer.DialContext(r.Context(), "ws"+strings.TrimPrefix(n.node, "http")+r.URL.RequestURI(), header)
	if err != nil {
		status := http.StatusBadGateway
		if resp != nil {
			status = resp.StatusCode
		}
		w.WriteHeader(status)
		return
	}
	upgrader := websocket.Upgrader{Subprotocols: []string{up.Subprotocol()}}
	down, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		up.Close() //nolint:errcheck // the client is gone
		return
	}
	var back sync.WaitGroup
	back.Go(func() { // what the client says: nothing, until it goes
		for {
			if _, _, err := down.ReadMessage(); err != nil {
				up.Close() //nolint:errcheck // it may be closed already
				return
			}
		}
	})
	for {
		kind, data, err := up.ReadMessage()
		if err != nil {
			break
		}
		times, message := 1, bytes.Contains(data[:min(len(data), 30)], []byte(`"message"`))
		switch {
		case message && n.mute:
			times = 0
		case message && chance(badShare):
			if times = 2 * rand.IntN(2); times == 0 {
				n.lost.Add(1)
			} else {
				n.twice.Add(1)
			}
		}
		for range times {
			if err = down.WriteMessage(kind, data); err != nil {
				break
			}
		}
	}
	up.Close()   //nolint:errcheck // one of both is broken
	down.Close() //nolint:errcheck // one of both is broken
	back.Wait()
}
