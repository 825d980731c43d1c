// A server with Go's profiles, as many have it; with the word "leak" it starts goroutines that never end.
package main

import (
	"log"
	"net/http"
	_ "net/http/pprof"
	"os"
	"time"
)

func waitForAnswer(answer chan string) {
	<-answer
}

func leak() {
	for {
		for i := 0; i < 50; i++ {
			go waitForAnswer(make(chan string))
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func main() {
	if len(os.Args) > 2 && os.Args[2] == "leak" {
		go leak()
	}
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
