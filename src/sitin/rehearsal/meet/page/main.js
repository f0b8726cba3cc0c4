// Connects the page to the rehearsal and shows what it is told.

import { Call } from "./call.js";
import { showNotice, showPreJoin, showSecondJoin, showWaiting } from "./entrance.js";

const socket = new WebSocket(`wss://${location.host}/_page/socket${location.pathname}`);
const tell = (message) => socket.send(JSON.stringify(message));

const state = { call: null, name: "", visitor: "", options: null };

const screens = {
  prejoin(message) {
    state.options = message.options;
    state.visitor = message.visitor;
    showPreJoin(message, (name) => {
      state.name = name;
      tell({ type: "ask", name });
    });
  },
  lobby: wait,
  waiting_for_host: wait,
  second_join() {
    showSecondJoin(() => tell({ type: "enter" }));
  },
  call({ consent }) {
    state.call = new Call({ tell, visitor: state.visitor, options: state.options, consent });
  },
};

function wait(message) {
  showWaiting(message, { name: state.name, leave: () => tell({ type: "leave" }) });
}

function showScreen(message) {
  if (state.call) {
    state.call.close();
    state.call = null;
  }
  (screens[message.screen] ?? showNotice)(message);
}

const handlers = {
  screen: showScreen,
  tiles: ({ tiles }) => state.call?.setTiles(tiles),
  speaking: ({ devices }) => state.call?.setSpeaking(devices),
  negotiate: ({ videos }) => state.call?.media.want(videos),
  answer: ({ sdp }) => state.call?.media.answered(sdp),
  caption: (message) => state.call?.addCaption(message),
  chat: (message) => state.call?.addMessage(message),
};

socket.addEventListener("message", (event) => {
  const message = JSON.parse(event.data);
  handlers[message.type](message);
});
