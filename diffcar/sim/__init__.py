"""Physics: scenes of cars, an arm and a soft body; the only room that imports an engine."""
