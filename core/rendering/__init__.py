"""From latents and a camera to pictures: rays onto the surface, the state of one edit, the frame of one camera."""
