package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"ackbox/model"
)

func isNil(v any) bool { return v == nil || reflect.ValueOf(v).IsNil() }

// constants are the values of a package's string constants of a type.
func constants(t *testing.T, file, kind string) []string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	must(t, err)
	var values []string
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, is := n.(*ast.ValueSpec)
		if !is {
			return true
		}
		if name, is := spec.Type.(*ast.Ident); !is || name.Name != kind {
			return true
		}
		for _, v := range spec.Values {
			literal, is := v.(*ast.BasicLit)
			if !is {
				t.Fatalf("%s: a constant of %s is no literal", file, kind)
			}
			value, err := strconv.Unquote(literal.Value)
			must(t, err)
			values = append(values, value)
		}
		return true
	})
	if len(values) == 0 {
		t.Fatalf("%s has no constants of %s", file, kind)
	}
	return values
}

func TestEveryCodeHasAMeaningAndAPage(t *testing.T) {
	text, err := os.ReadFile("../docs/errors.md")
	must(t, err)
	section := regexp.MustCompile(`(?m)^## (\w+)\n+(\d{3})`)
	documented := map[string]string{}
	for _, m := range section.FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = m[2]
	}
	codes := constants(t, "../model/error.go", "Code")
	for _, code := range codes {
		m, known := meanings[model.Code(code)]
		if !known || m.title == "" || m.what == "" || m.client == "" {
			t.Errorf("%s has no meaning", code)
		}
		if got := documented[code]; got != strconv.Itoa(m.status) {
			t.Errorf("docs/errors.md says %q about %s, want %d", got, code, m.status)
		}
	}
	if len(meanings) != len(codes) || len(documented) != len(codes) {
		t.Errorf("%d codes, %d meanings, %d in docs/errors.md", len(codes), len(meanings), len(documented))
	}
}

func TestToProblem(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want model.Code
	}{
		"a broken rule":        {model.NewError(model.CodeBlocked, "no"), model.CodeBlocked},
		"a wrapped one":        {fmt.Errorf("send: %w", model.NotFound("user")), model.CodeNotFound},
		"a code nobody knows":  {model.NewError("odd", "secret"), model.CodeInternal},
		"anything else":        {errors.New("secret"), model.CodeInternal},
		"the client gave up":   {fmt.Errorf("read: %w", context.Canceled), model.CodeUnavailable},
		"no time left":         {fmt.Errorf("read: %w", context.DeadlineExceeded), model.CodeUnavailable},
		"the database is away": {fmt.Errorf("read: %w", &net.OpError{Op: "dial", Err: errors.New("secret")}), model.CodeUnavailable},
		"nobody knows":         {fmt.Errorf("send: %w: %w", model.ErrCommitUnknown, errors.New("secret")), model.CodeUnknownOutcome},
	} {
		t.Run(name, func(t *testing.T) {
			p := toProblem(tt.err)
			if p.Code != tt.want || p.Status != meanings[tt.want].status || strings.Contains(p.Detail, "secret") {
				t.Errorf("got %+v, want %s", p, tt.want)
			}
			if p.Status >= 500 && p.cause == nil {
				t.Error("no cause for the log")
			}
		})
	}
	lost := toProblem(&model.Error{Code: model.CodePositionLost, Detail: "lost", Head: 9})
	if text, err := json.Marshal(lost); err != nil || !strings.Contains(string(text), `"head":9,"floor":0`) {
		t.Errorf("position_lost: got %s (%v)", text, err)
	}
}

func TestUnknownErrorsAreLoggedAndNotShown(t *testing.T) {
	s := newServer(t, nil)
	s.api.engine.GET("/panic", func(*gin.Context) { panic("the secret of the panic") })
	s.api.engine.GET("/late", func(c *gin.Context) {
		c.String(http.StatusOK, "begun")
		panic("late")
	})
	a := s.refused(request{method: http.MethodGet, path: "/panic?ticket=topsecret"}, model.CodeInternal)
	if strings.Contains(a.text, "secret") {
		t.Errorf("shown: %s", a.text)
	}
	log := s.log.String()
	if !strings.Contains(log, "the secret of the panic") || !strings.Contains(log, a.problem.RequestID) || !strings.Contains(log, "level=ERROR") {
		t.Errorf("not in the log with its request id: %s", log)
	}
	if strings.Contains(log, "topsecret") || strings.Contains(log, s.token) {
		t.Errorf("the log has a ticket or a token: %s", log)
	}
	s.accepted(request{method: http.MethodGet, path: "/late"}, http.StatusOK)

	must(t, s.store.Close()) // from here on the database is away
	s.refused(request{method: http.MethodGet, path: "/v1/users/me"}, model.CodeInternal)
}

func TestRoutes(t *testing.T) {
	s := newServer(t, nil)
	for _, path := range []string{"/nothing", "/v1", "/v1/users/me/", "/v1/users/me/x", "/V1/users/me", "/docs/nothing", "/docs/../openapi.json"} {
		s.refused(request{method: http.MethodGet, path: path, token: "-"}, model.CodeNotFound)
	}
	a := s.refused(request{method: http.MethodDelete, path: "/v1/users/me", token: "-"}, model.CodeMethodNotAllowed)
	if allow := a.header.Get("Allow"); !strings.Contains(allow, "GET") || !strings.Contains(allow, "PATCH") {
		t.Errorf("Allow %q", allow)
	}
	s.refused(request{method: http.MethodGet, path: "/v1/auth/login", token: "-"}, model.CodeMethodNotAllowed)
}

func TestRequestID(t *testing.T) {
	s := newServer(t, nil)
	for given, kept := range map[string]bool{"my-Request_1.x": true, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false, "a b": false, "ä": false, "": false} {
		got := s.do(request{method: http.MethodGet, path: "/nothing", header: []string{"X-Request-Id", given}}).header.Get("X-Request-Id")
		if (got == given) != kept || got == "" {
			t.Errorf("given %q, got %q", given, got)
		}
	}
	first, second := s.do(request{method: http.MethodGet, path: "/healthz"}), s.do(request{method: http.MethodGet, path: "/healthz"})
	if first.header.Get("X-Request-Id") == second.header.Get("X-Request-Id") {
		t.Error("two requests of one name")
	}
}

func TestBadBodies(t *testing.T) {
	s := newServer(t, nil)
	const path = "/v1/auth/register"
	good := `{"username":"eve","password":"a good password"}`
	for name, tt := range map[string]struct {
		body   string
		header []string
		want   model.Code
	}{
		"nothing":                 {"", []string{"Content-Type", "application/json"}, model.CodeInvalidJSON},
		"not JSON":                {"{", nil, model.CodeInvalidJSON},
		"garbage after":           {good + "x", nil, model.CodeInvalidJSON},
		"two documents":           {good + good, nil, model.CodeInvalidJSON},
		"a form":                  {"username=eve", nil, model.CodeInvalidJSON},
		"invalid UTF-8":           {"{\"username\":\"e\xff\",\"password\":\"a good password\"}", nil, model.CodeInvalidJSON},
		"half a pair":             {`{"username":"eve","password":"a good password \ud83d"}`, nil, model.CodeInvalidJSON},
		"the other half":          {`{"username":"eve","password":"\ude00 a good password"}`, nil, model.CodeInvalidJSON},
		"two first halves":        {`{"username":"eve","password":"a good \ud83d\ud83d password"}`, nil, model.CodeInvalidJSON},
		"a pair is fine":          {`{"username":"e","password":"a good password \ud83d\ude00 \\ud83d"}`, nil, model.CodeValidation},
		"a field twice":           {`{"username":"eve","password":"a good password","username":"eva"}`, nil, model.CodeInvalidJSON},
		"a field twice, escaped":  {`{"username":"eve","password":"a good password" , "\u0075sername" : "eva"}`, nil, model.CodeInvalidJSON},
		"UTF-16":                  {"\xfe\xff\x00{\x00}", nil, model.CodeInvalidJSON},
		"deep nesting":            {`{"username":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}`, nil, model.CodeInvalidJSON},
		"nesting in text is fine": {`{"username":"` + strings.Repeat("[", 100) + `","password":"a good password"}`, nil, model.CodeValidation},
		"a list":                  {"[]", nil, model.CodeValidation},
		"a string":                {`"x"`, nil, model.CodeValidation},
		"null":                    {"null", nil, model.CodeValidation},
		"an empty object":         {"{}", nil, model.CodeValidation},
		"a missing field":         {`{"username":"eve"}`, nil, model.CodeValidation},
		"an unknown field":        {`{"username":"eve","password":"a good password","role":"admin"}`, nil, model.CodeValidation},
		"another case":            {`{"username":"eve","PASSWORD":"a good password"}`, nil, model.CodeValidation},
		"a number":                {`{"username":7,"password":"a good password"}`, nil, model.CodeValidation},
		"a huge number":           {`{"username":1e999,"password":"a good password"}`, nil, model.CodeValidation},
		"null for a string":       {`{"username":null,"password":"a good password"}`, nil, model.CodeValidation},
		"a short name":            {`{"username":"ev","password":"a good password"}`, nil, model.CodeValidation},
		"a long name":             {`{"username":"` + strings.Repeat("e", 33) + `","password":"a good password"}`, nil, model.CodeValidation},
		"a foreign letter":        {`{"username":"\u212aelvin","password":"a good password"}`, nil, model.CodeValidation},
		"a name with a line":      {`{"username":"eve\n","password":"a good password"}`, nil, model.CodeValidation},
		"a short password":        {`{"username":"eve","password":"short"}`, nil, model.CodeValidation},
		"a long password":         {`{"username":"eve","password":"` + strings.Repeat("p", 129) + `"}`, nil, model.CodeValidation},
		"a blank display name":    {`{"username":"eve","password":"a good password","display_name":" "}`, nil, model.CodeValidation},
		"another type":            {good, []string{"Content-Type", "text/plain"}, model.CodeUnsupportedMediaType},
		"a form's type":           {good, []string{"Content-Type", "application/x-www-form-urlencoded"}, model.CodeUnsupportedMediaType},
		"no type at all":          {good, []string{"Content-Type", "nonsense"}, model.CodeUnsupportedMediaType},
		"a suffix":                {good, []string{"Content-Type", "application/problem+json"}, model.CodeUnsupportedMediaType},
		"another charset":         {good, []string{"Content-Type", "application/json; charset=latin1"}, model.CodeUnsupportedMediaType},
		"too large":               {`{"username":"` + strings.Repeat("e", MaxBody) + `"}`, nil, model.CodeBodyTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			a := s.refused(request{method: http.MethodPost, path: path, body: tt.body, header: tt.header, token: "-"}, tt.want)
			if len(a.text) > 8192 {
				t.Errorf("an error of %d bytes", len(a.text))
			}
			if (tt.want == model.CodeValidation) != (len(a.problem.Errors) > 0) {
				t.Errorf("errors: %s", a.text)
			}
			if strings.Contains(a.text, "good password") || strings.Contains(a.text, "short\"") {
				t.Errorf("a password is repeated: %s", a.text)
			}
		})
	}
	for name, contentType := range map[string]string{"no type": "", "a charset": "application/json; charset=UTF-8", "capitals": "Application/JSON;charset=\"utf-8\""} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.accepted(request{method: http.MethodPost, path: path, body: strings.Replace(good, "eve", "eve"+strconv.Itoa(len(contentType)), 1), header: []string{"Content-Type", contentType}}, http.StatusCreated)
		})
	}
}

func TestErrorsOfManyFieldsAreBounded(t *testing.T) {
	s := newServer(t, nil)
	var body strings.Builder
	body.WriteString(`{"username":"eve","password":"a good password"`)
	for i := range 5000 {
		fmt.Fprintf(&body, `,"%s%d":1`, strings.Repeat("x", 20), i)
	}
	body.WriteString("}")
	a := s.refused(request{method: http.MethodPost, path: "/v1/auth/register", body: body.String()}, model.CodeValidation)
	if len(a.problem.Errors) != maxFieldProblems {
		t.Errorf("%d errors", len(a.problem.Errors))
	}
	a = s.refused(request{method: http.MethodPost, path: "/v1/auth/register", body: `{"` + strings.Repeat("y", 100000) + `":1}`}, model.CodeValidation)
	if len(a.text) > 4096 {
		t.Errorf("an error of %d bytes", len(a.text))
	}
}

// drip is a body of unknown length.
type drip struct{ left int }

func (d *drip) Read(p []byte) (int, error) {
	if d.left <= 0 {
		return 0, io.EOF
	}
	n := min(len(p), d.left)
	for i := range n {
		p[i] = ' '
	}
	d.left -= n
	return n, nil
}

// TestHugeBodies are refused in words, also to a client that sends all of them before it reads.
func TestHugeBodies(t *testing.T) {
	s := newServer(t, nil)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	must(t, err)
	defer conn.Close() //nolint:errcheck // the test is over
	must(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	const size = 24 << 20 // more than what a connection's buffers hold
	_, err = fmt.Fprintf(conn, "POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", size)
	must(t, err)
	if n, err := io.Copy(conn, &drip{left: size}); err != nil {
		t.Fatalf("the server closed after %d bytes: %v", n, err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusRequestEntityTooLarge || !answer.Close {
		t.Errorf("got %s, close %v, want 413 and the end of the connection", answer.Status, answer.Close)
	}
}

func TestChunkedBodies(t *testing.T) {
	s := newServer(t, nil)
	s.refused(request{method: http.MethodPost, path: "/v1/auth/login", raw: &drip{left: MaxBody + 1}}, model.CodeBodyTooLarge)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	must(t, err)
	defer conn.Close() //nolint:errcheck // the test is over
	_, err = conn.Write([]byte("POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"))
	must(t, err)
	must(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	first := make([]byte, 12)
	if _, err := conn.Read(first); err != nil || string(first) != "HTTP/1.1 400" {
		t.Errorf("a broken chunk: got %q (%v)", first, err)
	}
}

func TestBadIDs(t *testing.T) {
	s := newServer(t, nil)
	for _, id := range []string{"0", "-1", "+1", "01", "1.0", "1e3", "x", "9223372036854775808", "99999999999999999999", "%20", "１", "a%00b", strings.Repeat("1", 1000)} {
		a := s.refused(request{method: http.MethodGet, path: "/v1/users/" + id}, model.CodeValidation)
		if len(a.problem.Errors) != 1 || a.problem.Errors[0].Location != "path.user_id" {
			t.Errorf("%s: got %s", id, a.text)
		}
	}
	s.refused(request{method: http.MethodGet, path: "/v1/users/9223372036854775807"}, model.CodeNotFound)
}

func TestCrossOrigin(t *testing.T) {
	s := newServer(t, func(d *Deps) { d.AllowedOrigins = []string{"https://app.example.com"} })
	preflight := func(origin string) answer {
		return s.do(request{method: http.MethodOptions, path: "/v1/users/me", token: "-", header: []string{"Origin", origin, "Access-Control-Request-Method", "PATCH"}})
	}
	a := preflight("https://app.example.com")
	if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "PATCH") ||
		!strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "Idempotency-Key") || a.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: got %d %v", a.status, a.header)
	}
	for _, origin := range []string{"https://evil.example.com", "null", "http://app.example.com", "https://app.example.com.evil.com", "nonsense"} {
		if a := preflight(origin); a.problem.Code != model.CodeOriginNotAllowed || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: got %d %v", origin, a.status, a.header)
		}
	}
	a = s.accepted(request{method: http.MethodGet, path: "/healthz", header: []string{"Origin", "https://app.example.com"}}, http.StatusOK)
	if a.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || a.header.Get("Vary") != "Origin" {
		t.Errorf("got %v", a.header)
	}
	a = s.accepted(request{method: http.MethodGet, path: "/healthz", header: []string{"Origin", "https://evil.example.com"}}, http.StatusOK)
	if a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("got %v", a.header)
	}
	s.accepted(request{method: http.MethodGet, path: "/healthz", header: []string{"Origin", s.url}}, http.StatusOK)
}

func TestHealth(t *testing.T) {
	s := newServer(t, nil)
	var out struct {
		Status       string
		Dependencies []Dependency
	}
	s.accepted(request{method: http.MethodGet, path: "/healthz", token: "-"}, http.StatusOK).into(&out)
	s.accepted(request{method: http.MethodGet, path: "/readyz", token: "-"}, http.StatusOK).into(&out)
	if out.Status != "ready" || len(out.Dependencies) != 2 {
		t.Errorf("got %+v", out)
	}
	s.ready.Store(&[]Dependency{{Name: "database", State: StateUp}, {Name: "redis", State: StateDown}})
	if a := s.refused(request{method: http.MethodGet, path: "/readyz", token: "-"}, model.CodeUnavailable); len(a.problem.Dependencies) != 2 || a.header.Get("Retry-After") == "" {
		t.Errorf("got %s", a.text)
	}
	s.ready.Store(&[]Dependency{{Name: "database", State: StateUp}, {Name: "node", State: StateDraining}})
	s.refused(request{method: http.MethodGet, path: "/readyz", token: "-"}, model.CodeDraining)
	if a := s.accepted(request{method: http.MethodGet, path: "/metrics", token: "-"}, http.StatusOK); a.text != "up 1\n" {
		t.Errorf("metrics: got %q", a.text)
	}
}
