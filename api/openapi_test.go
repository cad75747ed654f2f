package api

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/getkin/kin-openapi/openapi3"

	"ackbox/model"
	"ackbox/service"
)

func TestOpenAPI(t *testing.T) {
	s := newServer(t, nil)
	text := s.accepted(request{method: http.MethodGet, path: "/openapi.json", token: "-"}, http.StatusOK).text
	doc, err := openapi3.NewLoader().LoadFromData([]byte(text))
	must(t, err)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("OpenAPI %s", doc.OpenAPI)
	}
	seen := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.OperationID == "" || op.Summary == "" || seen[op.OperationID] {
				t.Errorf("%s %s: operation id %q, summary %q", method, path, op.OperationID, op.Summary)
			}
			seen[op.OperationID] = true
			if op.Responses.Default() == nil {
				t.Errorf("%s %s does not say what an error looks like", method, path)
			}
		}
	}
	if s := doc.Components.Schemas["User"].Value.Properties["user_id"].Value; s.Pattern == "" || !s.Type.Is("string") {
		t.Errorf("user_id is %+v", s)
	}
	if strings.Contains(text, "$schema") {
		t.Error("there are $schema fields")
	}
}

func TestAsyncAPI(t *testing.T) {
	s := newServer(t, nil)
	text := s.accepted(request{method: http.MethodGet, path: "/asyncapi.json", token: "-"}, http.StatusOK).text
	var doc map[string]any
	must(t, json.Unmarshal([]byte(text), &doc))
	if doc["asyncapi"] != "3.0.0" {
		t.Errorf("asyncapi %v", doc["asyncapi"])
	}
	for _, m := range regexp.MustCompile(`"\$ref": "#/([^"]+)"`).FindAllStringSubmatch(text, -1) {
		var at any = doc
		for step := range strings.SplitSeq(m[1], "/") {
			inside, is := at.(map[string]any)
			if at = inside[step]; !is || at == nil {
				t.Errorf("%s leads nowhere", m[1])
				break
			}
		}
	}
	for _, code := range []string{"1000", "1001", "1003", "1012", "1013", "4001", "4002", "4003", "4008", "4009", "4010"} {
		if !strings.Contains(text, `"code": `+code) {
			t.Errorf("close code %s is missing", code)
		}
	}
}

// TestEveryFrameIsDescribed finds the frames in their source: exported structs whose
// first field is Type.
func TestEveryFrameIsDescribed(t *testing.T) {
	tree, err := parser.ParseFile(token.NewFileSet(), "../service/frame.go", nil, 0)
	must(t, err)
	var names []string
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, is := n.(*ast.TypeSpec)
		if !is {
			return true
		}
		body, is := spec.Type.(*ast.StructType)
		if is && spec.Name.IsExported() && len(body.Fields.List) > 0 && len(body.Fields.List[0].Names) > 0 && body.Fields.List[0].Names[0].Name == "Type" {
			names = append(names, spec.Name.Name)
		}
		return true
	})
	if len(names) < 8 {
		t.Fatalf("found only %v", names)
	}
	for _, name := range names {
		if !slices.ContainsFunc(frames, func(f struct {
			kind string
			of   reflect.Type
			when string
		}) bool {
			return f.of.Name() == name
		}) {
			t.Errorf("service.%s is not among the frames", name)
		}
	}
	registry := newRegistry()
	for _, f := range frames {
		s := registry.Schema(f.of, false, "")
		if kind := s.Properties["type"]; kind == nil || len(kind.Enum) != 1 || kind.Enum[0] != f.kind {
			t.Errorf("%s: its type is not always %q", f.of, f.kind)
		}
		if first := f.of.Field(0); first.Name != "Type" {
			t.Errorf("%s: type does not come first", f.of)
		}
	}
	if s := registry.Schema(reflect.TypeFor[service.Hello](), false, ""); slices.Contains(s.Required, "reset") {
		t.Error("reset is not optional")
	}
}

// TestMessagesAreAsDescribed encodes messages as they go out and checks them against
// their description.
func TestMessagesAreAsDescribed(t *testing.T) {
	registry := newRegistry()
	schema := registry.Schema(reflect.TypeFor[Message](), true, "")
	full := model.Message{
		ID: 1, ConversationID: 2, ConversationSeq: 3, SenderID: 4, ClientMsgID: "key-\u2028<\"", Type: model.TypeText, Body: `{"text":"hi"}`, Ext: `{"a":[1]}`, ReplyTo: 5,
		CreatedAt: 1763700000123, RecalledAt: 1763700000456,
		Mentions: model.Mentions{6, 7}, Quote: &model.Quote{MessageID: 5, ConversationSeq: 2, SenderID: 6, Type: model.TypeFile, Text: "a \"file\".pdf"},
	}
	least := full
	least.Ext, least.ReplyTo, least.RecalledAt, least.Mentions, least.Quote = "", 0, 0, nil, nil
	everybody := least
	everybody.Mentions = model.Mentions{model.Everybody}
	for name, m := range map[string]model.Message{"with everything": full, "with the least": least, "for everybody": everybody} {
		var v any
		must(t, json.Unmarshal(m.AppendJSON(nil), &v))
		res := &huma.ValidateResult{}
		huma.Validate(registry, schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, v, res)
		if len(res.Errors) > 0 {
			t.Errorf("%s: %v in %s", name, res.Errors, m.AppendJSON(nil))
		}
	}
}

func TestPages(t *testing.T) {
	s := newServer(t, nil)
	outside := regexp.MustCompile(`(?i)(src|href|url)\s*[=(:]\s*["']?(https?:)?//`)
	for path, want := range map[string]string{
		"/docs": "swagger-ui-bundle.js", "/docs/page.js": "validatorUrl: null", "/docs/page.css": "body", "/docs/swagger-ui.css": ".swagger-ui",
		"/docs/errors": `id="idempotency_key_reused"`, "/docs/push": "device_id", "/docs/LICENSE.swagger-ui": "Apache License",
	} {
		a := s.accepted(request{method: http.MethodGet, path: path, token: "-"}, http.StatusOK)
		if !strings.Contains(a.text, want) {
			t.Errorf("%s: no %q in it", path, want)
		}
		if found := outside.FindString(a.text); found != "" {
			t.Errorf("%s asks another host: %s", path, found)
		}
		policy := a.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "http") {
			t.Errorf("%s: policy %q", path, policy)
		}
		again := s.accepted(request{method: http.MethodGet, path: path, token: "-", header: []string{"If-None-Match", a.header.Get("ETag")}}, http.StatusNotModified)
		if again.text != "" {
			t.Errorf("%s: 304 with a body", path)
		}
	}
	if a := s.accepted(request{method: http.MethodGet, path: "/docs/swagger-ui-bundle.js", token: "-"}, http.StatusOK); !strings.HasPrefix(a.header.Get("Content-Type"), "text/javascript") || len(a.text) < 1<<20 {
		t.Errorf("bundle: %s, %d bytes", a.header.Get("Content-Type"), len(a.text))
	}
	errors := s.text("/docs/errors")
	for code := range meanings {
		if !strings.Contains(errors, `id="`+string(code)+`"`) {
			t.Errorf("/docs/errors has no %s", code)
		}
	}
	push := s.text("/docs/push")
	for _, f := range frames {
		if !strings.Contains(push, `id="`+f.kind+`"`) {
			t.Errorf("/docs/push has no %s", f.kind)
		}
	}
}

// huma leaves parameters of an embedded, unexported struct unset: the request then has
// id 0. No input may embed one.
func TestPathParametersReachTheirHandlers(t *testing.T) {
	for _, in := range []any{historyInput{}, readInput{}, conversationPath{}, groupPath{}, memberPath{}, membersInput{}, groupChangeInput{}, addMembersInput{}, roleInput{}, messagePath{}, devicePath{}, userPath{}} {
		kind := reflect.TypeOf(in)
		for i := range kind.NumField() {
			if kind.Field(i).Anonymous {
				t.Errorf("%s embeds %s", kind.Name(), kind.Field(i).Name)
			}
		}
	}
}
