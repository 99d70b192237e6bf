// Socket.IO's own server with its Redis adapter, as its documentation has it for several processes. It does what the
// broker does with the same events: `join` a room, and `publish` an event to the others in a room. And it shows cursors as
// programs on Socket.IO do: a volatile event for each movement.

import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const pub = createClient({ url: process.env.REDIS_URL });
const sub = pub.duplicate();
for (const client of [pub, sub]) {
  client.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
}
await Promise.all([pub.connect(), sub.connect()]);

const http = createServer();
const io = new Server(http, { adapter: createAdapter(pub, sub) });
io.on("connection", (socket) => {
  socket.on("join", (room, done) => {
    socket.join(room);
    done();
  });
  socket.on("publish", (room, event, data, done) => {
    socket.to(room).emit(event, data);
    done();
  });
  socket.on("cursor", (room, data) => {
    socket.volatile.to(room).emit("cursor", data);
  });
});
http.listen(Number(process.env.PORT), "127.0.0.1");
