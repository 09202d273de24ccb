"""From warehouse files to preprocessed volumes and screenshots."""
