// A provider that speaks OpenAI's Chat Completions and is never the limit of a benchmark: every
// call is answered at once with the same verdict. GET /calls tells how many there were.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
)

const answer = `{"id":"chatcmpl-bench","object":"chat.completion","created":1795000000,` +
	`"model":"gpt-6-luna","choices":[{"index":0,"message":{"role":"assistant","content":` +
	`"{\"winner\":\"Essay A\",\"justification\":\"Essay A states its claim early and supports it ` +
	`with two examples that fit, where Essay B repeats itself and leaves its main point open.\",` +
	`\"confidence\":0.8}","refusal":null,"annotations":[]},"logprobs":null,` +
	`"finish_reason":"stop"}],"usage":{"prompt_tokens":640,"completion_tokens":48,` +
	`"total_tokens":688,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},` +
	`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,` +
	`"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},` +
	`"service_tier":"default","system_fingerprint":null}`

const refusal = `{"error":{"message":"no messages","type":"invalid_request_error",` +
	`"param":"messages","code":null}}`

var calls atomic.Int64

func complete(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	text, status := answer, http.StatusOK
	if err != nil || !bytes.Contains(body, []byte(`"messages"`)) {
		text, status = refusal, http.StatusBadRequest
	}
	number := strconv.FormatInt(calls.Add(1), 10)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Header().Set("X-Request-Id", "req_"+number)
	w.WriteHeader(status)
	io.WriteString(w, text)
}

func main() {
	runtime.GOMAXPROCS(1) // it shares its core with the broker
	http.HandleFunc("POST /v1/chat/completions", complete)
	http.HandleFunc("GET /calls", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, calls.Load())
	})
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	log.Print("answers at ", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
