"""A small shop as Flask applications are written: sessions by flask-session, all else by redis-py.

Run as `shop_flask.py REDIS_PORT`; prints the port that it serves. One process with a pool.
"""

import sys

import redis
from flask import Flask, jsonify, request, session
from flask_session import Session
from werkzeug.serving import WSGIRequestHandler, make_server

pool = redis.ConnectionPool(port=int(sys.argv[1]), max_connections=8)
store = redis.Redis(connection_pool=pool)

app = Flask(__name__)
app.config.update(SESSION_TYPE="redis", SESSION_REDIS=store, SESSION_KEY_PREFIX="flask:")
Session(app)


@app.post("/login/<user>")
def login(user):
    session["user"] = user
    return jsonify(user=user)


@app.post("/logout")
def logout():
    session.clear()
    return jsonify(user=None)


@app.get("/me")
def me():
    if "user" not in session:
        return jsonify(error="not logged in"), 401
    return jsonify(user=session["user"])


@app.post("/cart/<item>")
def add_to_cart(item):
    return jsonify(count=store.hincrby(f"cart:{session.get('user')}", item, 1))


@app.get("/cart")
def cart():
    items = store.hgetall(f"cart:{session.get('user')}")
    return jsonify({item.decode(): int(count) for item, count in items.items()})


@app.post("/score/<int:points>")
def score(points):
    return jsonify(score=store.zincrby("board", points, session.get("user")))


@app.get("/score")
def own_score():
    with store.pipeline(transaction=False) as pipe:
        points, rank = pipe.zscore("board", session.get("user")).zrevrank(
            "board", session.get("user")
        ).execute()
    return jsonify(score=points, rank=rank)


@app.post("/visit")
def visit():
    key = f"visits:{session.get('user')}"
    with store.pipeline(transaction=True) as pipe:
        count, _ = pipe.incr(key).expire(key, 600).execute()
    return jsonify(visits=count)


@app.get("/visit")
def visits():
    key = f"visits:{session.get('user')}"
    return jsonify(visits=int(store.get(key) or 0), ttl=store.ttl(key))


WSGIRequestHandler.protocol_version = "HTTP/1.1"
WSGIRequestHandler.log_request = lambda *_: None
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
