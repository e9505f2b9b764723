"""Physics: the only package that imports Genesis or MuJoCo, and only when a scene is built."""
